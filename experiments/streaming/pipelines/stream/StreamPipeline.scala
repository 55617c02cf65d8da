package benchpaper

import java.util.concurrent.atomic.{AtomicBoolean, AtomicInteger}

import scala.collection.immutable
import scala.concurrent.{Future, blocking}
import scala.jdk.CollectionConverters._

import org.apache.kafka.clients.consumer.KafkaConsumer
import org.apache.kafka.common.TopicPartition
import org.apache.kafka.common.serialization.ByteArrayDeserializer
import org.apache.pekko.{Done, NotUsed}
import org.apache.pekko.actor.ActorSystem
import org.apache.pekko.kafka.{CommitterSettings, ConsumerSettings, Subscriptions}
import org.apache.pekko.kafka.ConsumerMessage.{CommittableMessage, CommittableOffset}
import org.apache.pekko.kafka.scaladsl.{Committer, Consumer}
import org.apache.pekko.stream.scaladsl.{Flow, Sink, Source}

/** The pipeline as a stream: a source for each partition, grouped by key, written in order, committed by the connector. */
object StreamPipeline extends App {
  private type Event = CommittableMessage[Array[Byte], Array[Byte]]
  private type Place = CommittableOffset

  implicit private val system: ActorSystem = ActorSystem("pipeline")
  import system.dispatcher

  private val job = new Job(args)
  private val committing = CommitterSettings(system).withMaxBatch(1)
  private val active = new AtomicInteger
  private val settings = ConsumerSettings(system, new ByteArrayDeserializer, new ByteArrayDeserializer)
    .withProperties(job.consumer).withProperty("enable.auto.commit", "false")

  private val all = Consumer.committablePartitionedSource(settings, Subscriptions.topics(job.topic))
    .mapAsyncUnordered(Int.MaxValue) { case (place, source) => partition(place.partition, source) }
    .runWith(Sink.ignore)
  all.failed.foreach { failure =>
    failure.printStackTrace()
    Runtime.getRuntime.halt(1)
  }
  waitUntilCommitted()
  job.end()

  private def partition(number: Int, source: Source[Event, _]): Future[Done] = {
    val stop = job.stop(number)
    val begun = new AtomicBoolean // a partition that was read before gets no event
    val read = source.takeWhile(_.record.offset + 1 < stop, inclusive = true)
      .map { event => if (begun.compareAndSet(false, true)) active.incrementAndGet(); event }
    val done = if (job.timer) read.alsoTo(Flow[Event].map(_.committableOffset).to(Committer.sink(CommitterSettings(system))))
      .via(written(number, stop)).runWith(Sink.ignore)
    else read.via(written(number, stop)).mapConcat(_.resume.toList).runWith(Committer.sink(committing))
    done.andThen { case _ => if (begun.get) active.decrementAndGet() }
  }

  private def written(number: Int, stop: Long): Flow[Event, Close[Place], NotUsed] = Flow[Event]
    .statefulMapConcat { () =>
      val watermark = job.watermark[Place](number)

      event => {
        val steps = watermark.read(event.record.offset, event.committableOffset, job.parse(event.record.value))
        if (event.record.offset + 1 < stop) steps
        else { val last = watermark.finish(stop); Counters.skipped.add(watermark.skipped); steps ++ last }
      }
    }
    .groupBy(Int.MaxValue, _.key)
    .statefulMapConcat { () =>
      var totals: Totals = null

      step => {
        if (totals == null) totals = new Totals(step.key)
        step match {
          case add: Add => totals.add(add); immutable.Seq.empty[(Close[Place], Option[Row])]
          case CloseKey(_, close) => immutable.Seq((close.asInstanceOf[Close[Place]], totals.close(close.window)))
        }
      }
    }
    .mergeSubstreams
    .statefulMapConcat { () =>
      val gather = new Gather[Place]
      gather(_)
    }
    .mapAsync(1) { case (close, rows) => Future(blocking { job.write(number, close, rows); close }) }

  /** Returns once each partition is committed to its end, by this member of the group or another. */
  private def waitUntilCommitted(): Unit = {
    val properties = job.properties
    properties.put("enable.auto.commit", "false")
    val consumer = new KafkaConsumer[Array[Byte], Array[Byte]](properties)
    val places = (0 until job.partitions).map(new TopicPartition(job.topic, _))
    def ended: Boolean = {
      val committed = consumer.committed(places.toSet.asJava)
      places.forall(place => Option(committed.get(place)).exists(_.offset >= job.stop(place.partition)))
    }
    while (!ended || active.get > 0) Thread.sleep(50)
  }
}
