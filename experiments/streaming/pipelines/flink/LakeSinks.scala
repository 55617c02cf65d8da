package benchpaper

import java.util.{Collection => JCollection, Collections, UUID}

import scala.collection.mutable
import scala.jdk.CollectionConverters._

import org.apache.flink.api.common.eventtime.Watermark
import org.apache.flink.api.connector.sink2.{CommitterInitContext, CommittingSinkWriter, Sink, SinkWriter, SupportsCommitter, WriterInitContext}
import org.apache.flink.api.connector.sink2.Committer
import org.apache.flink.core.io.SimpleVersionedSerializer

import FlinkPipeline.Result

/** Rows of one subtask that are not written yet. */
final class Pending {
  private val rows = mutable.ArrayBuffer.empty[Row]

  def add(result: Result): Unit =
    rows += Row(result.f0, result.f1, result.f2, result.f3, result.f4, result.f5)

  /** What came since the last call. */
  def take(): Vector[Row] = { val taken = rows.toVector; rows.clear(); taken }
}

/** Writes at each checkpoint, or without any at each watermark: what is written after the last checkpoint is written again. */
final class LakeSink(job: Job) extends Sink[Result] {
  def createWriter(context: WriterInitContext): SinkWriter[Result] = new SinkWriter[Result] {
    private val pending = new Pending

    def write(result: Result, context: SinkWriter.Context): Unit = pending.add(result)
    override def writeWatermark(watermark: Watermark): Unit = if (job.timer) put()
    def flush(ended: Boolean): Unit = put()
    def close(): Unit = ()

    private def put(): Unit = {
      val rows = pending.take()
      if (rows.nonEmpty) job.lake.put(s"${UUID.randomUUID}.parquet", rows, 0)
    }
  }
}

/** An upload that its checkpoint will make visible. */
final case class Staged(name: String, id: String, tag: String, rows: Int, newest: Long)

/** Uploads before a checkpoint, and completes the uploads after it: exactly once. */
final class StagedSink(job: Job) extends Sink[Result] with SupportsCommitter[Staged] {
  def createWriter(context: WriterInitContext): CommittingSinkWriter[Result, Staged] = new CommittingSinkWriter[Result, Staged] {
    private val pending = new Pending

    def write(result: Result, context: SinkWriter.Context): Unit = pending.add(result)
    def flush(ended: Boolean): Unit = ()
    def close(): Unit = ()

    def prepareCommit(): JCollection[Staged] = {
      val rows = pending.take()
      if (rows.isEmpty) Collections.emptyList()
      else {
        val name = s"${UUID.randomUUID}.parquet"
        val (id, tag) = job.lake.stage(name, rows)
        val newest = rows.filter(!_.late).map(_.newest).maxOption.getOrElse(0L)
        Collections.singletonList(Staged(name, id, tag, rows.size, newest))
      }
    }
  }

  def createCommitter(context: CommitterInitContext): Committer[Staged] = new Committer[Staged] {
    def commit(requests: JCollection[Committer.CommitRequest[Staged]]): Unit = requests.asScala.foreach { request =>
      val staged = request.getCommittable
      job.lake.complete(staged.name, staged.id, staged.tag)
      job.lake.tell(staged.name, staged.rows, 0, staged.newest)
    }
    def close(): Unit = ()
  }

  def getCommittableSerializer: SimpleVersionedSerializer[Staged] = StagedFormat
}

object StagedFormat extends SimpleVersionedSerializer[Staged] {
  def getVersion: Int = 1
  def serialize(staged: Staged): Array[Byte] =
    s"${staged.name}\n${staged.id}\n${staged.tag}\n${staged.rows}\n${staged.newest}".getBytes("UTF-8")
  def deserialize(version: Int, bytes: Array[Byte]): Staged = new String(bytes, "UTF-8").split("\n") match {
    case Array(name, id, tag, rows, newest) => Staged(name, id, tag, rows.toInt, newest.toLong)
  }
}
