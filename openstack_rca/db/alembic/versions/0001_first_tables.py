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
"""The first tables: jobs, analyses, ratings, incidents, sources."""

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0001'
down_revision = None

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
        'jobs',
        sa.Column('id', sa.String(36), nullable=False),
        sa.Column('kind', sa.String(16), nullable=False),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('project_id', sa.String(64), nullable=False),
        sa.Column('user_id', sa.String(64), nullable=False),
        sa.Column('request', _long(), nullable=False),
        sa.Column('result', _long(), nullable=True),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column('attempts', sa.Integer(), nullable=False),
        sa.Column('lease_until', _moment(), nullable=True),
        sa.Column('lease_holder', sa.String(255), nullable=True),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('started_at', _moment(), nullable=True),
        sa.Column('finished_at', _moment(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_jobs'),
        **_MYSQL)
    op.create_index('ix_jobs_listed', 'jobs',
                    ['project_id', 'created_at', 'id', 'kind', 'state'])
    op.create_index('ix_jobs_project_id_state', 'jobs',
                    ['project_id', 'state'])
    op.create_index('ix_jobs_state_created_at_id', 'jobs',
                    ['state', 'created_at', 'id'])
    op.create_index('ix_jobs_state_lease_until', 'jobs',
                    ['state', 'lease_until'])
    op.create_table(
        'analyses',
        sa.Column('id', sa.String(36), nullable=False),
        sa.Column('project_id', sa.String(64), nullable=False),
        sa.Column('user_id', sa.String(64), nullable=False),
        sa.Column('status', sa.String(16), nullable=False),
        sa.Column('verdict', sa.String(32), nullable=True),
        sa.Column('issue', sa.Text(), nullable=False),
        sa.Column('mode', sa.String(16), nullable=False),
        sa.Column('category', sa.String(32), nullable=True),
        sa.Column('component', sa.String(64), nullable=True),
        sa.Column('severity', sa.String(16), nullable=True),
        sa.Column('confidence', sa.Float(), nullable=True),
        sa.Column('summary', sa.Text(), nullable=True),
        sa.Column('incident_id', sa.String(36), nullable=True),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('started_at', _moment(), nullable=True),
        sa.Column('finished_at', _moment(), nullable=True),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column('report', _long(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_analyses'),
        **_MYSQL)
    op.create_index('ix_analyses_finished_at', 'analyses', ['finished_at'])
    op.create_index('ix_analyses_listed', 'analyses', [
        'project_id', 'created_at', 'id', 'status', 'verdict'])
    op.create_index('ix_analyses_status', 'analyses', [
        'project_id', 'status', 'created_at', 'id', 'verdict'])
    op.create_index('ix_analyses_verdict', 'analyses', [
        'project_id', 'verdict', 'created_at', 'id', 'status'])
    op.create_table(
        'ratings',
        sa.Column('analysis_id', sa.String(36), nullable=False),
        sa.Column('user_id', sa.String(64), nullable=False),
        sa.Column('project_id', sa.String(64), nullable=False),
        sa.Column('rating', sa.String(16), nullable=False),
        sa.Column('component', sa.String(64), nullable=True),
        sa.Column('comment', sa.Text(), nullable=True),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('updated_at', _moment(), nullable=False),
        sa.PrimaryKeyConstraint('analysis_id', 'user_id', name='pk_ratings'),
        sa.ForeignKeyConstraint(['analysis_id'], ['analyses.id'],
                                name='fk_ratings_analysis_id',
                                ondelete='CASCADE'),
        **_MYSQL)
    op.create_table(
        'incidents',
        sa.Column('id', sa.String(36), nullable=False),
        sa.Column('project_id', sa.String(64), nullable=False),
        sa.Column('status', sa.String(16), nullable=False),
        sa.Column('title', sa.String(255), nullable=False),
        sa.Column('summary', sa.Text(), nullable=True),
        sa.Column('component', sa.String(64), nullable=True),
        sa.Column('category', sa.String(32), nullable=True),
        sa.Column('host', sa.String(255), nullable=True),
        sa.Column('severity', sa.String(16), nullable=True),
        sa.Column('confidence', sa.Float(), nullable=True),
        sa.Column('analysis_id', sa.String(36), nullable=True),
        sa.Column('created_at', _moment(), nullable=False),
        sa.Column('updated_at', _moment(), nullable=False),
        sa.Column('acknowledged_at', _moment(), nullable=True),
        sa.Column('acknowledged_by', sa.String(64), nullable=True),
        sa.Column('resolved_at', _moment(), nullable=True),
        sa.Column('resolved_by', sa.String(64), nullable=True),
        sa.Column('resolution', sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_incidents'),
        **_MYSQL)
    op.create_index('ix_incidents_analysis_id', 'incidents',
                    ['analysis_id'])
    op.create_index('ix_incidents_project_id_created_at_id', 'incidents',
                    ['project_id', 'created_at', 'id'])
    op.create_index('ix_incidents_project_id_status_created_at_id',
                    'incidents', ['project_id', 'status', 'created_at', 'id'])
    op.create_table(
        'sources',
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('name', sa.String(64), nullable=False),
        sa.Column('status', sa.String(16), nullable=False),
        sa.Column('error', sa.Text(), nullable=True),
        sa.Column('updated_at', _moment(), nullable=False),
        sa.Column('events', sa.BigInteger(), nullable=False),
        sa.Column('bytes', sa.BigInteger(), nullable=False),
        sa.Column('files', _long(), nullable=False),
        sa.Column('skipped', _long(), nullable=False),
        sa.PrimaryKeyConstraint('host', 'name', name='pk_sources'),
        **_MYSQL)
