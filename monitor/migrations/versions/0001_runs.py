"""The record of every check and training.

The types are spelled out here and not imported: a step says what the store was like then, whatever the code says now.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Create the table and the indexes its lists are read by."""
    op.create_table(
        "shopmon_runs",
        sa.Column("run_id", sa.Text(), primary_key=True),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("inputs", _JSON, nullable=False),
        sa.Column("versions", _JSON, nullable=False),
        sa.Column("folder", sa.Text()),
        sa.Column("document", _JSON, nullable=False),
    )
    op.create_index("shopmon_runs_newest", "shopmon_runs", ["started_at", "run_id"])
    op.create_index("shopmon_runs_command", "shopmon_runs", ["command", "started_at"])


def downgrade() -> None:
    """Forget every run."""
    op.drop_table("shopmon_runs")
