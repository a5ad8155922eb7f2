# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Incidents that engines open, and by what their symptoms are known."""

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0005'
down_revision = '0004'

# Ids and names are compared as they are, as other databases do.
_MYSQL: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}


def _moment() -> sa.DateTime:
    return sa.DateTime().with_variant(
        mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


def upgrade() -> None:
    """Add the columns and the table."""
    for column in (
            sa.Column('origin', sa.String(16), nullable=False,
                      server_default='analysis'),
            sa.Column('first_seen', _moment()),
            sa.Column('last_seen', _moment()),
            sa.Column('touched_at', _moment()),
            sa.Column('symptoms', sa.Integer(), nullable=False,
                      server_default='0'),
            sa.Column('reopened', sa.Integer(), nullable=False,
                      server_default='0'),
            sa.Column('merged_into', sa.String(36)),
            sa.Column('suppressed_until', _moment()),
            sa.Column('suppressed_by', sa.String(64)),
            sa.Column('state', sa.Text().with_variant(
                mysql.MEDIUMTEXT(), 'mysql', 'mariadb'))):
        op.add_column('incidents', column)
    op.create_index('ix_incidents_status_touched_at', 'incidents',
                    ['status', 'touched_at'])
    op.create_table(
        'incident_keys',
        sa.Column('key', sa.String(160), nullable=False),
        sa.Column('incident_id', sa.String(36), nullable=False),
        sa.Column('seen_at', _moment(), nullable=False),
        sa.PrimaryKeyConstraint('key', 'incident_id',
                                name='pk_incident_keys'),
        **_MYSQL)
    op.create_index('ix_incident_keys_incident_id', 'incident_keys',
                    ['incident_id'])
    op.add_column('symptoms', sa.Column('incident_id', sa.String(36)))
    op.create_index('ix_symptoms_incident_id', 'symptoms', ['incident_id'])
