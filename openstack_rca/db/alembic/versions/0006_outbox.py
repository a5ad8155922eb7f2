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
"""The outbox: what is to be told to others, and what became of it."""

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0006'
down_revision = '0005'

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
        'outbox',
        sa.Column('number', sa.BigInteger().with_variant(
            sa.Integer(), 'sqlite'), nullable=False),
        sa.Column('id', sa.String(36), nullable=False),
        sa.Column('target', sa.String(80), nullable=False),
        sa.Column('event_type', sa.String(64), nullable=False),
        sa.Column('subject', sa.String(36), nullable=False),
        sa.Column('place', sa.BigInteger(), nullable=False),
        sa.Column('payload', sa.Text(), nullable=False),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('attempts', sa.Integer(), nullable=False),
        sa.Column('next_at', _moment(), nullable=False),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('done_at', _moment(), nullable=True),
        sa.PrimaryKeyConstraint('number', name='pk_outbox'),
        sqlite_autoincrement=True, **_MYSQL)
    op.create_index('uq_outbox_id_target', 'outbox', ['id', 'target'],
                    unique=True)
    op.create_index('ix_outbox_state_target_next_at', 'outbox',
                    ['state', 'target', 'next_at'])
    op.create_index('ix_outbox_state_subject', 'outbox',
                    ['state', 'subject'])
    op.create_index('ix_outbox_done_at', 'outbox', ['done_at'])
