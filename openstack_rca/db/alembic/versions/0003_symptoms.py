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
"""Symptoms: what engines see in the logs before anybody asks."""

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0003'
down_revision = '0002'

# Ids and names are compared as they are, as other databases do.
_MYSQL: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}


def _moment() -> sa.DateTime:
    return sa.DateTime().with_variant(
        mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        'symptoms',
        sa.Column('id', sa.String(36), nullable=False),
        sa.Column('dedup', sa.String(32), nullable=False),
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('detector', sa.String(64), nullable=False),
        sa.Column('version', sa.String(64), nullable=True),
        sa.Column('service', sa.String(64), nullable=True),
        sa.Column('binary', sa.String(255), nullable=True),
        sa.Column('event_host', sa.String(255), nullable=True),
        sa.Column('template', sa.String(16), nullable=True),
        sa.Column('since', _moment(), nullable=False),
        sa.Column('until', _moment(), nullable=False),
        sa.Column('sign', sa.String(16), nullable=False),
        sa.Column('score', sa.Float(), nullable=False),
        sa.Column('why', sa.Text(), nullable=False),
        sa.Column('count', sa.Integer(), nullable=False),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('updated_at', _moment(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_symptoms'),
        **_MYSQL)
    op.create_index('uq_symptoms_dedup_since', 'symptoms',
                    ['dedup', 'since'], unique=True)
    op.create_index('ix_symptoms_since_id', 'symptoms', ['since', 'id'])
    op.create_index('ix_symptoms_updated_at', 'symptoms', ['updated_at'])
