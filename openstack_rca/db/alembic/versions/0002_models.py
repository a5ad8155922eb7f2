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
"""Trained models: which there are, and which are active."""

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0002'
down_revision = '0001'

# Ids and names are compared as they are, as other databases do.
_MYSQL: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}


def _long() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql', 'mariadb')


def _moment() -> sa.DateTime:
    return sa.DateTime().with_variant(
        mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        'models',
        sa.Column('id', sa.String(36), nullable=False),
        sa.Column('detector', sa.String(64), nullable=False),
        sa.Column('version', sa.String(64), nullable=True),
        sa.Column('origin', sa.String(16), nullable=False),
        sa.Column('status', sa.String(16), nullable=False),
        sa.Column('host', sa.String(255), nullable=True),
        sa.Column('project_id', sa.String(64), nullable=True),
        sa.Column('user_id', sa.String(64), nullable=True),
        sa.Column('sources', sa.Text(), nullable=False),
        sa.Column('progress', sa.Text(), nullable=True),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('started_at', _moment(), nullable=True),
        sa.Column('finished_at', _moment(), nullable=True),
        sa.Column('document', _long(), nullable=True),
        sa.Column('drift', sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_models'),
        **_MYSQL)
    op.create_index('uq_models_detector_version', 'models',
                    ['detector', 'version'], unique=True)
    op.create_index('ix_models_created_at_id', 'models',
                    ['created_at', 'id'])
    op.create_index('ix_models_status_finished_at', 'models',
                    ['status', 'finished_at'])
    op.create_table(
        'active_models',
        sa.Column('detector', sa.String(64), nullable=False),
        sa.Column('model_id', sa.String(36), nullable=False),
        sa.Column('activated_at', _moment(), nullable=False),
        sa.Column('activated_by', sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint('detector', name='pk_active_models'),
        sa.ForeignKeyConstraint(['model_id'], ['models.id'],
                                name='fk_active_models_model_id'),
        **_MYSQL)
    op.create_index('ix_active_models_model_id', 'active_models',
                    ['model_id'])
    op.create_table(
        'activations',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('detector', sa.String(64), nullable=False),
        sa.Column('version', sa.String(64), nullable=False),
        sa.Column('activated_at', _moment(), nullable=False),
        sa.Column('activated_by', sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_activations'),
        **_MYSQL)
    op.create_index('ix_activations_detector_id', 'activations',
                    ['detector', 'id'])
