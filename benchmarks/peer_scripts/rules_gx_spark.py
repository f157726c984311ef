"""Great Expectations on Spark, on this machine, with the numbers of all failing rows; Spark is started beforehand."""

import os
from pathlib import Path

import measuring
from questions import REVIEWS


def prepare(folder: Path, scratch: Path) -> measuring.Work:
    from great_expectations_rules import answers, context
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import monotonically_increasing_id

    spark = (
        SparkSession.builder.master(f"local[{os.cpu_count()}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "4g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.local.dir", str(scratch))
        .config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    made = context()

    def work() -> tuple[int, measuring.Found]:
        frame = spark.read.parquet(str(folder / REVIEWS)).withColumn("row", monotonically_increasing_id())
        asset = made.data_sources.add_spark("s").add_dataframe_asset("a")
        batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
        return frame.count(), answers(batch)

    return work


if __name__ == "__main__":
    measuring.run(prepare)
