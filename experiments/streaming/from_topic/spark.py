"""Spark Structured Streaming with its own source, watermark, windows, and checkpoints.

Spark's watermark moves from one micro-batch to the next. It drops late events, and says nothing of
them. Its update mode writes a window again when it has changed: the last row of a window and key
counts. In the append mode the last windows of a topic that ends would never be written.
"""

import os
import time
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from experiments.streaming.from_topic import Job, peak_mib, say

TURN_S = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


def run(job: Job) -> None:
    spark = _session(job)
    gateway = spark.sparkContext._gateway.proc.pid  # the virtual machine, which does the work
    written = [0.0]

    def write(batch, number):
        rows = [tuple(row) for row in batch.collect()]
        if rows:
            job.put(f"{number:08d}.parquet", rows)
        written[0] = time.perf_counter()

    results = _windows(job, _messages(job, spark)).writeStream.foreachBatch(write)
    results = results.outputMode("update").option("checkpointLocation", f"{job.folder}/spark")
    job.begin()
    query = results.trigger(processingTime=f"{job.checkpoint_ms} milliseconds").start()
    seen: dict[int, int] = {}
    while sum(seen.values()) < sum(job.stops):
        if failure := query.exception():
            raise RuntimeError(str(failure).splitlines()[0])
        for progress in query.recentProgress:
            seen[progress["batchId"]] = max(
                progress["numInputRows"], seen.get(progress["batchId"], 0)
            )
        time.sleep(TURN_S)
    job.events = sum(seen.values())
    cpu_s, peak = _cpu_s(gateway), peak_mib(gateway)
    query.stop()
    say(done=True, events=job.events, seconds=written[0] - job.first, cpu_s=cpu_s, peak_mib=peak)
    spark.stop()


def _session(job: Job) -> SparkSession:
    builder = SparkSession.builder.master(f"local[{job.words['parallelism']}]").appName("pipeline")
    settings = {
        "spark.jars": job.words["jars"],
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": job.words["parallelism"],
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": job.folder,
        "spark.sql.warehouse.dir": str(Path(job.folder) / "warehouse"),
        "spark.sql.streaming.numRecentProgressUpdates": "100000",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def _messages(job: Job, spark: SparkSession):
    """The stream of key, time, and value."""
    source = spark.readStream.format("kafka").option("kafka.bootstrap.servers", job.servers)
    source = source.option("subscribe", job.topic).option("startingOffsets", "earliest")
    value = f.col("value")
    stream = source.option("maxOffsetsPerTrigger", job.words["per_batch"]).load()
    if job.json:
        schema = "key int, time long, value long"
        parsed = f.from_json(value.cast("string"), schema).alias("message")
        return stream.select(parsed).select("message.*")

    def number(first: int, length: int, kind: str):
        return f.conv(f.hex(f.substring(value, first, length)), 16, 10).cast(kind)

    return stream.select(
        number(1, 4, "int").alias("key"),
        number(5, 8, "long").alias("time"),
        number(13, 8, "long").alias("value"),
    )


def _windows(job: Job, messages):
    """The columns of `from_topic.COLUMNS`, for each window and key."""
    timed = messages.withColumn("at", f.timestamp_millis("time"))
    grouped = timed.withWatermark("at", f"{job.delay} milliseconds").groupBy(
        f.window("at", f"{job.window} milliseconds"), "key"
    )
    sums = grouped.agg(
        f.count("*").alias("count"), f.sum("value").alias("sum"), f.max("time").alias("newest")
    )
    window = f.unix_millis("window.start").alias("window")
    return sums.select(window, "key", "count", "sum", "newest", f.lit(False).alias("late"))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS + time.process_time()
