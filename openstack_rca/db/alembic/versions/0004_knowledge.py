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
"""Knowledge that searches find, and questions to finished analyses."""

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0004'
down_revision = '0003'

# Ids and names are compared as they are, as other databases do.
_MYSQL: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}


def _moment() -> sa.DateTime:
    return sa.DateTime().with_variant(
        mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


def _long() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql', 'mariadb')


def upgrade() -> None:
    """Make the tables."""
    op.add_column('ratings', sa.Column('cause', sa.Text(), nullable=True))
    op.create_table(
        'knowledge',
        sa.Column('id', sa.String(36), nullable=False),
        sa.Column('project_id', sa.String(64), nullable=False),
        sa.Column('user_id', sa.String(64), nullable=False),
        sa.Column('kind', sa.String(16), nullable=False),
        sa.Column('title', sa.String(255), nullable=False),
        sa.Column('text', _long(), nullable=False),
        sa.Column('source', sa.String(255), nullable=False),
        sa.Column('service', sa.String(64), nullable=True),
        sa.Column('tags', sa.Text(), nullable=False),
        sa.Column('url', sa.Text(), nullable=True),
        sa.Column('resolution', sa.Text(), nullable=True),
        sa.Column('incident_id', sa.String(36), nullable=True),
        sa.Column('analysis_id', sa.String(36), nullable=True),
        sa.Column('fingerprint', sa.String(32), nullable=False),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('updated_at', _moment(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_knowledge'),
        **_MYSQL)
    op.create_index('uq_knowledge_project_id_fingerprint', 'knowledge',
                    ['project_id', 'fingerprint'], unique=True)
    op.create_index('ix_knowledge_listed', 'knowledge',
                    ['project_id', 'created_at', 'id', 'kind', 'service'])
    for column in ('source', 'incident_id', 'analysis_id'):
        op.create_index(f'ix_knowledge_project_id_{column}', 'knowledge',
                        ['project_id', column])
    op.create_index('ix_knowledge_updated_at', 'knowledge', ['updated_at'])
    op.create_table(
        'messages',
        sa.Column('id', sa.String(36), nullable=False),
        sa.Column('analysis_id', sa.String(36), nullable=False),
        sa.Column('project_id', sa.String(64), nullable=False),
        sa.Column('user_id', sa.String(64), nullable=False),
        sa.Column('status', sa.String(16), nullable=False),
        sa.Column('question', sa.Text(), nullable=False),
        sa.Column('answer', _long(), nullable=True),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('started_at', _moment(), nullable=True),
        sa.Column('finished_at', _moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ['analysis_id'], ['analyses.id'],
            name='fk_messages_analysis_id', ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name='pk_messages'),
        **_MYSQL)
    op.create_index('ix_messages_analysis_id_created_at_id', 'messages',
                    ['analysis_id', 'created_at', 'id'])
