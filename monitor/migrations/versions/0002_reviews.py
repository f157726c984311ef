"""What people decided about the rows that were gathered.

The types are spelled out here and not imported: a step says what the store was like then, whatever the code says now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # only INTEGER PRIMARY KEY counts by itself there


def upgrade() -> None:
    """Create the table and the indexes by which decisions of a text and of an act are found."""
    op.create_table(
        "shopmon_reviews",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("role", sa.Text()),
        sa.Column("label", sa.Text()),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_by", sa.Text()),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
    )
    op.create_index("shopmon_reviews_text", "shopmon_reviews", ["kind", "text_hash"])
    op.create_index("shopmon_reviews_act", "shopmon_reviews", ["act"])


def downgrade() -> None:
    """Forget every decision."""
    op.drop_table("shopmon_reviews")
