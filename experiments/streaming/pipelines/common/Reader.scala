package benchpaper

import java.time.Duration
import java.util.concurrent.ConcurrentHashMap

import scala.collection.mutable
import scala.jdk.CollectionConverters._

import org.apache.kafka.clients.consumer.{CommitFailedException, ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata}
import org.apache.kafka.common.TopicPartition
import org.apache.kafka.common.errors.RebalanceInProgressException

/** A partition while it belongs to this consumer. After a rebalance it comes back as another turn, without its state. */
final case class Turn(partition: Int, number: Long)

/** A message as it was read. */
final case class Read(turn: Turn, offset: Long, value: Array[Byte])

/** Reads a job's topic as a member of its group, until its partitions have ended. One thread may iterate; any may call `written`. */
final class Reader(job: Job) extends Iterator[Read] {
  private val consumer = new KafkaConsumer[Array[Byte], Array[Byte]](job.properties)
  private val turns, ended = mutable.Map.empty[Int, Turn]
  private val due = new ConcurrentHashMap[Turn, Long]
  private var number = 0L
  private var records = Iterator.empty[Read]

  consumer.subscribe(List(job.topic).asJava, new ConsumerRebalanceListener {
    def onPartitionsAssigned(assigned: java.util.Collection[TopicPartition]): Unit = assigned.asScala.foreach { each =>
      number += 1
      turns(each.partition) = Turn(each.partition, number)
      if (consumer.position(each) >= job.stop(each.partition)) ended(each.partition) = turns(each.partition)
    }
    def onPartitionsRevoked(revoked: java.util.Collection[TopicPartition]): Unit = {
      commit()
      revoked.asScala.foreach { each => turns -= each.partition; ended -= each.partition }
    }
  })

  def hasNext: Boolean = {
    while (!records.hasNext && (turns.isEmpty || turns.keySet != ended.keySet)) poll()
    records.hasNext
  }

  def next(): Read = {
    val read = records.next()
    if (read.offset + 1 == job.stop(read.turn.partition)) ended(read.turn.partition) = read.turn
    read
  }

  /** True for the last message of a partition. */
  def last(read: Read): Boolean = read.offset + 1 == job.stop(read.turn.partition)

  /** Notes that reading may continue after `offset`; the offset is committed before the next messages are asked for. */
  def written(turn: Turn, offset: Long): Unit = due.merge(turn, offset + 1, (a, b) => math.max(a, b))

  def close(): Unit = { commit(); consumer.close() }

  private def poll(): Unit = {
    commit()
    records = consumer.poll(Duration.ofMillis(100)).iterator.asScala.map { record =>
      Read(turns(record.partition), record.offset, record.value)
    }
  }

  private def commit(): Unit = if (!job.timer) {
    val now = due.asScala.toMap
    val ours = now.filter { case (turn, _) => turns.get(turn.partition).contains(turn) }
    try {
      if (ours.nonEmpty) consumer.commitSync(ours.map { case (turn, offset) =>
        new TopicPartition(job.topic, turn.partition) -> new OffsetAndMetadata(offset)
      }.asJava)
      now.foreach { case (turn, offset) => due.remove(turn, offset) } // if nothing later has come meanwhile
    } catch {
      case _: RebalanceInProgressException => () // the next time
      case _: CommitFailedException => due.clear() // others have our partitions, and read the events again
    }
  }
}

/** The windows of one partition, as a loop fills them. */
final class Filling(job: Job, partition: Int) {
  val watermark: Watermark[Long] = job.watermark(partition)
  private val totals = mutable.HashMap.empty[Int, Totals]
  private val gather = new Gather[Long]

  /** Takes a step; returns what is to be written, with its rows. */
  def take(step: Step): List[(Close[Long], Vector[Row])] = step match {
    case add: Add => totals.getOrElseUpdate(add.key, new Totals(add.key)).add(add); Nil
    case CloseKey(key, close) =>
      gather((close.asInstanceOf[Close[Long]], totals.get(key).flatMap(_.close(close.window))))
  }

  def steps(read: Read, last: Boolean): List[Step] = {
    val steps = watermark.read(read.offset, read.offset, job.parse(read.value))
    if (last) { val all = steps ++ watermark.finish(read.offset + 1); Counters.skipped.add(watermark.skipped); all } else steps
  }
}

/** The pipeline as a plain loop on one thread. */
object LoopPipeline extends App {
  private val job = new Job(args)
  private val reader = new Reader(job)
  private val partitions = mutable.Map.empty[Turn, Filling]

  for (read <- reader) {
    val filling = partitions.getOrElseUpdate(read.turn, new Filling(job, read.turn.partition))
    for (step <- filling.steps(read, reader.last(read)); (close, rows) <- filling.take(step)) {
      job.write(read.turn.partition, close, rows)
      close.resume.foreach(reader.written(read.turn, _))
    }
  }
  reader.close()
  job.end()
}
