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
"""The tables.

What lists show stands in columns of its own; documents (requests, reports,
results) are JSON text, which only the one who asked for a single row reads.
Times are UTC without a zone.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

#: Characters of a column that is cut to fit.
TITLE = 255
SUMMARY = 4000
#: Of the name of a document.
SOURCE = 255


def _long() -> sa.types.TypeEngine[str]:
    """Text of some megabytes: MySQL's TEXT ends at 64 KiB."""
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql', 'mariadb')


def _moment() -> sa.DateTime:
    """A time with microseconds: MySQL's DATETIME has none by itself."""
    return sa.DateTime().with_variant(
        mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


METADATA = sa.MetaData(naming_convention={
    'pk': 'pk_%(table_name)s',
    'fk': 'fk_%(table_name)s_%(column_0_name)s',
    'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
    'uq': 'uq_%(table_name)s_%(column_0_N_name)s',
})

# Ids and names are compared as they are, as other databases do.
_MYSQL: dict[str, Any] = {
    'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb4',
    'mysql_collate': 'utf8mb4_bin'}

JOBS = sa.Table(
    'jobs', METADATA,
    sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('kind', sa.String(16), nullable=False),
    sa.Column('state', sa.String(16), nullable=False),
    sa.Column('project_id', sa.String(64), nullable=False),
    sa.Column('user_id', sa.String(64), nullable=False),
    sa.Column('request', _long(), nullable=False),
    sa.Column('result', _long()),
    sa.Column('error', sa.Text()),
    sa.Column('attempts', sa.Integer(), nullable=False),
    # Until when the holder has it, by the clock of the database.
    sa.Column('lease_until', _moment()),
    sa.Column('lease_holder', sa.String(255)),
    sa.Column('created_at', _moment(), nullable=False),
    sa.Column('started_at', _moment()),
    sa.Column('finished_at', _moment()),
    sa.Index(None, 'state', 'created_at', 'id'),
    sa.Index(None, 'state', 'lease_until'),
    # With all that a list is chosen by.
    sa.Index('ix_jobs_listed', 'project_id', 'created_at', 'id', 'kind',
             'state'),
    sa.Index(None, 'project_id', 'state'),
    **_MYSQL)

ANALYSES = sa.Table(
    'analyses', METADATA,
    # That of the job which works on it.
    sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('project_id', sa.String(64), nullable=False),
    sa.Column('user_id', sa.String(64), nullable=False),
    sa.Column('status', sa.String(16), nullable=False),
    sa.Column('verdict', sa.String(32)),
    sa.Column('issue', sa.Text(), nullable=False),
    sa.Column('mode', sa.String(16), nullable=False),
    sa.Column('category', sa.String(32)),
    sa.Column('component', sa.String(64)),
    sa.Column('severity', sa.String(16)),
    sa.Column('confidence', sa.Float()),
    sa.Column('summary', sa.Text()),
    sa.Column('incident_id', sa.String(36)),
    sa.Column('created_at', _moment(), nullable=False),
    sa.Column('started_at', _moment()),
    sa.Column('finished_at', _moment()),
    sa.Column('error', sa.Text()),
    sa.Column('report', _long()),
    # Each with all that a list is chosen by: a page is found without its
    # rows, see rows.page().
    sa.Index('ix_analyses_listed', 'project_id', 'created_at', 'id',
             'status', 'verdict'),
    sa.Index('ix_analyses_status', 'project_id', 'status', 'created_at',
             'id', 'verdict'),
    sa.Index('ix_analyses_verdict', 'project_id', 'verdict', 'created_at',
             'id', 'status'),
    sa.Index(None, 'finished_at'),
    **_MYSQL)

RATINGS = sa.Table(
    'ratings', METADATA,
    sa.Column('analysis_id', sa.String(36),
              sa.ForeignKey('analyses.id', ondelete='CASCADE'),
              primary_key=True),
    sa.Column('user_id', sa.String(64), primary_key=True),
    sa.Column('project_id', sa.String(64), nullable=False),
    sa.Column('rating', sa.String(16), nullable=False),
    sa.Column('component', sa.String(64)),
    sa.Column('comment', sa.Text()),
    # The cause in truth, in words.
    sa.Column('cause', sa.Text()),
    sa.Column('created_at', _moment(), nullable=False),
    sa.Column('updated_at', _moment(), nullable=False),
    **_MYSQL)

INCIDENTS = sa.Table(
    'incidents', METADATA,
    sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('project_id', sa.String(64), nullable=False),
    sa.Column('status', sa.String(16), nullable=False),
    sa.Column('title', sa.String(TITLE), nullable=False),
    sa.Column('summary', sa.Text()),
    sa.Column('component', sa.String(64)),
    sa.Column('category', sa.String(32)),
    sa.Column('host', sa.String(255)),
    sa.Column('severity', sa.String(16)),
    sa.Column('confidence', sa.Float()),
    # Without a foreign key: an incident outlives the analysis.
    sa.Column('analysis_id', sa.String(36)),
    sa.Column('created_at', _moment(), nullable=False),
    sa.Column('updated_at', _moment(), nullable=False),
    sa.Column('acknowledged_at', _moment()),
    sa.Column('acknowledged_by', sa.String(64)),
    sa.Column('resolved_at', _moment()),
    sa.Column('resolved_by', sa.String(64)),
    sa.Column('resolution', sa.Text()),
    # Who opened it: an engine, or an analysis that somebody asked for.
    sa.Column('origin', sa.String(16), nullable=False,
              server_default='analysis'),
    # Of its symptoms, by the clock of the logs.
    sa.Column('first_seen', _moment()),
    sa.Column('last_seen', _moment()),
    # When an engine added the last one.
    sa.Column('touched_at', _moment()),
    sa.Column('symptoms', sa.Integer(), nullable=False, server_default='0'),
    sa.Column('reopened', sa.Integer(), nullable=False, server_default='0'),
    # The incident that it turned out to be a part of.
    sa.Column('merged_into', sa.String(36)),
    sa.Column('suppressed_until', _moment()),
    sa.Column('suppressed_by', sa.String(64)),
    # What the correlator knows of it; nobody else reads it.
    sa.Column('state', _long()),
    sa.Index(None, 'project_id', 'created_at', 'id'),
    sa.Index(None, 'project_id', 'status', 'created_at', 'id'),
    sa.Index(None, 'analysis_id'),
    sa.Index(None, 'status', 'touched_at'),
    **_MYSQL)

# By what a symptom is known to belong to an incident: requests, resources,
# templates.
INCIDENT_KEYS = sa.Table(
    'incident_keys', METADATA,
    sa.Column('key', sa.String(160), primary_key=True),
    sa.Column('incident_id', sa.String(36), primary_key=True),
    sa.Column('seen_at', _moment(), nullable=False),
    sa.Index(None, 'incident_id'),
    **_MYSQL)

# What engines read. These rows tell of the cloud, not of a project.
SOURCES = sa.Table(
    'sources', METADATA,
    sa.Column('host', sa.String(255), primary_key=True),
    sa.Column('name', sa.String(64), primary_key=True),
    sa.Column('status', sa.String(16), nullable=False),
    sa.Column('error', sa.Text()),
    sa.Column('updated_at', _moment(), nullable=False),
    sa.Column('events', sa.BigInteger(), nullable=False),
    sa.Column('bytes', sa.BigInteger(), nullable=False),
    sa.Column('files', _long(), nullable=False),
    sa.Column('skipped', _long(), nullable=False),
    **_MYSQL)

# Trained models, and those that are being trained. They serve the cloud, not
# a project; whose idea one was is told all the same.
MODELS = sa.Table(
    'models', METADATA,
    # That of the job which trains it, or trained it.
    sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('detector', sa.String(64), nullable=False),
    # None before it is trained.
    sa.Column('version', sa.String(64)),
    sa.Column('origin', sa.String(16), nullable=False),
    sa.Column('status', sa.String(16), nullable=False),
    # The engine whose store holds it; None where each has it.
    sa.Column('host', sa.String(255)),
    sa.Column('project_id', sa.String(64)),
    sa.Column('user_id', sa.String(64)),
    # What it is to be trained on.
    sa.Column('sources', sa.Text(), nullable=False),
    sa.Column('progress', sa.Text()),
    sa.Column('error', sa.Text()),
    sa.Column('created_at', _moment(), nullable=False),
    sa.Column('started_at', _moment()),
    sa.Column('finished_at', _moment()),
    sa.Column('document', _long()),
    sa.Column('drift', sa.Text()),
    sa.Index('uq_models_detector_version', 'detector', 'version',
             unique=True),
    sa.Index(None, 'created_at', 'id'),
    sa.Index(None, 'status', 'finished_at'),
    **_MYSQL)

# Which model of a detector is active. Without a row it is the newest one that
# came with the package.
ACTIVE_MODELS = sa.Table(
    'active_models', METADATA,
    sa.Column('detector', sa.String(64), primary_key=True),
    # An active model cannot be deleted, not even in the same moment.
    sa.Column('model_id', sa.String(36),
              sa.ForeignKey('models.id'), nullable=False),
    sa.Column('activated_at', _moment(), nullable=False),
    sa.Column('activated_by', sa.String(64), nullable=False),
    sa.Index(None, 'model_id'),
    **_MYSQL)

# Each step, for those who ask later.
ACTIVATIONS = sa.Table(
    'activations', METADATA,
    sa.Column('id', sa.Integer(), primary_key=True),
    sa.Column('detector', sa.String(64), nullable=False),
    sa.Column('version', sa.String(64), nullable=False),
    sa.Column('activated_at', _moment(), nullable=False),
    sa.Column('activated_by', sa.String(64), nullable=False),
    sa.Index(None, 'detector', 'id'),
    **_MYSQL)

# What the detectors of engines see in the logs before anybody asks. These
# rows tell of the cloud, not of a project.
SYMPTOMS = sa.Table(
    'symptoms', METADATA,
    sa.Column('id', sa.String(36), primary_key=True),
    # Of all that makes it the same one when it is seen again.
    sa.Column('dedup', sa.String(32), nullable=False),
    # Of the engine.
    sa.Column('host', sa.String(255), nullable=False),
    sa.Column('detector', sa.String(64), nullable=False),
    # Of the model that saw it last; none where nothing was learned.
    sa.Column('version', sa.String(64)),
    sa.Column('service', sa.String(64)),
    sa.Column('binary', sa.String(255)),
    sa.Column('event_host', sa.String(255)),
    # 16 hex digits; none where a whole process is meant.
    sa.Column('template', sa.String(16)),
    # Of the events, by the clock of the logs.
    sa.Column('since', _moment(), nullable=False),
    sa.Column('until', _moment(), nullable=False),
    sa.Column('sign', sa.String(16), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('why', sa.Text(), nullable=False),
    # How often it was seen.
    sa.Column('count', sa.Integer(), nullable=False),
    # The one that it belongs to, if any.
    sa.Column('incident_id', sa.String(36)),
    sa.Column('created_at', _moment(), nullable=False),
    sa.Column('updated_at', _moment(), nullable=False),
    sa.Index('uq_symptoms_dedup_since', 'dedup', 'since', unique=True),
    sa.Index(None, 'incident_id'),
    sa.Index(None, 'since', 'id'),
    sa.Index(None, 'updated_at'),
    **_MYSQL)

# What searches find: documents, incidents with their resolutions, analyses
# that were judged.
KNOWLEDGE = sa.Table(
    'knowledge', METADATA,
    sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('project_id', sa.String(64), nullable=False),
    sa.Column('user_id', sa.String(64), nullable=False),
    sa.Column('kind', sa.String(16), nullable=False),
    sa.Column('title', sa.String(TITLE), nullable=False),
    sa.Column('text', _long(), nullable=False),
    # The document that it is a section of; empty for others.
    sa.Column('source', sa.String(SOURCE), nullable=False),
    sa.Column('service', sa.String(64)),
    sa.Column('tags', sa.Text(), nullable=False),
    sa.Column('url', sa.Text()),
    sa.Column('resolution', sa.Text()),
    # Without foreign keys: what was learned outlives both.
    sa.Column('incident_id', sa.String(36)),
    sa.Column('analysis_id', sa.String(36)),
    # Of all that it says, so that it is kept once.
    sa.Column('fingerprint', sa.String(32), nullable=False),
    sa.Column('created_at', _moment(), nullable=False),
    # By the clock of the database: engines look for what is newer.
    sa.Column('updated_at', _moment(), nullable=False),
    sa.Index('uq_knowledge_project_id_fingerprint', 'project_id',
             'fingerprint', unique=True),
    sa.Index('ix_knowledge_listed', 'project_id', 'created_at', 'id', 'kind',
             'service'),
    sa.Index(None, 'project_id', 'source'),
    sa.Index(None, 'project_id', 'incident_id'),
    sa.Index(None, 'project_id', 'analysis_id'),
    sa.Index(None, 'updated_at'),
    **_MYSQL)

# What was asked of an analysis afterwards, and answered.
MESSAGES = sa.Table(
    'messages', METADATA,
    # That of the job which answers.
    sa.Column('id', sa.String(36), primary_key=True),
    sa.Column('analysis_id', sa.String(36),
              sa.ForeignKey('analyses.id', ondelete='CASCADE'),
              nullable=False),
    sa.Column('project_id', sa.String(64), nullable=False),
    sa.Column('user_id', sa.String(64), nullable=False),
    sa.Column('status', sa.String(16), nullable=False),
    sa.Column('question', sa.Text(), nullable=False),
    sa.Column('answer', _long()),
    sa.Column('error', sa.Text()),
    sa.Column('created_at', _moment(), nullable=False),
    sa.Column('started_at', _moment()),
    sa.Column('finished_at', _moment()),
    sa.Index(None, 'analysis_id', 'created_at', 'id'),
    **_MYSQL)

# What is to be told to others, written with the change that it tells of. A
# row of no target is handed out to the targets that there are, by one more
# row each.
OUTBOX = sa.Table(
    'outbox', METADATA,
    # The order in which things happened; no number comes twice. SQLite
    # counts no other integer.
    sa.Column('number', sa.BigInteger().with_variant(
        sa.Integer(), 'sqlite'), primary_key=True),
    # Of the event, the same one for each of its targets.
    sa.Column('id', sa.String(36), nullable=False),
    # ``notification`` or ``webhook:NAME``; empty before it is handed out.
    sa.Column('target', sa.String(80), nullable=False),
    sa.Column('event_type', sa.String(64), nullable=False),
    # What it is about: of one subject, one thing is told after the other.
    sa.Column('subject', sa.String(36), nullable=False),
    # The number of the row without a target.
    sa.Column('place', sa.BigInteger(), nullable=False),
    sa.Column('payload', sa.Text(), nullable=False),
    sa.Column('state', sa.String(16), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    # Nobody tries it before, by the clock of the database: someone is just
    # trying, or has tried in vain.
    sa.Column('next_at', _moment(), nullable=False),
    sa.Column('error', sa.Text()),
    sa.Column('created_at', _moment(), nullable=False),
    sa.Column('done_at', _moment()),
    sa.Index('uq_outbox_id_target', 'id', 'target', unique=True),
    sa.Index(None, 'state', 'target', 'next_at'),
    sa.Index(None, 'state', 'subject'),
    sa.Index(None, 'done_at'),
    sqlite_autoincrement=True, **_MYSQL)
