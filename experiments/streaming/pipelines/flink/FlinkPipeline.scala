package benchpaper

import java.lang.{Boolean => JBoolean, Integer => JInt, Long => JLong}
import java.time.Duration

import scala.jdk.CollectionConverters._

import org.apache.flink.api.common.eventtime.WatermarkStrategy
import org.apache.flink.api.common.functions.{AggregateFunction, MapFunction}
import org.apache.flink.api.common.typeinfo.{PrimitiveArrayTypeInfo, TypeInformation, Types}
import org.apache.flink.api.java.functions.KeySelector
import org.apache.flink.api.java.tuple.{Tuple3, Tuple6}
import org.apache.flink.configuration.Configuration
import org.apache.flink.connector.kafka.source.KafkaSource
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows
import org.apache.flink.streaming.api.windowing.windows.TimeWindow
import org.apache.flink.util.{Collector => Out, OutputTag}
import org.apache.kafka.clients.consumer.{ConsumerRecord, OffsetResetStrategy}
import org.apache.kafka.common.TopicPartition

/** The pipeline in Flink's own operators: its source, watermarks, windows, side output for late events, and checkpoints. It
  * runs in this process, or in the standalone cluster whose REST server is `cluster`, with `stage` steps of work for each
  * event (0: a request; -1: no such stage). */
object FlinkPipeline extends App {
  type Event = Tuple3[JInt, JLong, JLong]
  type Result = Tuple6[JLong, JInt, JLong, JLong, JLong, JBoolean]

  val EventType: TypeInformation[Event] = Types.TUPLE[Event](Types.INT, Types.LONG, Types.LONG)
  val ResultType: TypeInformation[Result] =
    Types.TUPLE[Result](Types.LONG, Types.INT, Types.LONG, Types.LONG, Types.LONG, Types.BOOLEAN)

  private val TotalType: TypeInformation[Array[Long]] = PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO.asInstanceOf[TypeInformation[Array[Long]]]

  private val job = new Job(args)
  private val words = new Args(args)
  private val env = environment()

  private val late = new OutputTag[Event]("late", EventType) {}
  private val stage = words.int("stage")
  private val events = env
    .fromSource(source(), WatermarkStrategy.forBoundedOutOfOrderness[Event](Duration.ofMillis(job.delay))
      .withTimestampAssigner((event: Event, _: Long) => event.f1.longValue), job.topic)
  private val results = (if (stage < 0) events else events.map(new Stage(job, stage), EventType))
    .keyBy(new Key, Types.INT)
    .window(TumblingEventTimeWindows.of(Duration.ofMillis(job.window)))
    .sideOutputLateData(late)
    .aggregate(new Sums, new Emit, TotalType, TotalType, ResultType)
  results.union(results.getSideOutput(late).map(new LateRows(job.window), ResultType))
    .sinkTo(if (job.delivery == "exactly") new StagedSink(job) else new LakeSink(job))
  private val executed = env.execute("pipeline")
  if (stage >= 0) Stage.report(executed)
  job.end()

  private def environment(): StreamExecutionEnvironment = {
    val settings = new Configuration
    settings.setString("parallelism.default", words.text("parallelism"))
    settings.setString("taskmanager.numberOfTaskSlots", words.text("parallelism"))
    settings.setString("pipeline.object-reuse", "true")
    settings.setString("pipeline.auto-watermark-interval", "20 ms")
    FlinkLogins.leaveOut(settings)
    settings.setString("restart-strategy.type", words.text("restarts"))
    settings.setString("restart-strategy.fixed-delay.attempts", "20")
    settings.setString("restart-strategy.fixed-delay.delay", "1 s")
    if (job.delivery != "most") {
      settings.setString("execution.checkpointing.interval", s"${words.text("checkpoint_ms")} ms")
      settings.setString("execution.checkpointing.mode", if (job.delivery == "exactly") "EXACTLY_ONCE" else "AT_LEAST_ONCE")
      settings.setString("execution.checkpointing.dir", s"file://${job.checkpoints}")
      settings.setString("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION")
    }
    if (words.text("restore").nonEmpty) settings.setString("execution.state-recovery.path", words.text("restore"))
    words.text("cluster").split(":") match {
      case Array(host, port) => StreamExecutionEnvironment.createRemoteEnvironment(host, port.toInt, settings)
      case _ => StreamExecutionEnvironment.createLocalEnvironment(words.int("parallelism"), settings)
    }
  }

  private def source(): EndingSource = {
    val ends = job.stop.indices.map(p => new TopicPartition(job.topic, p) -> JLong.valueOf(job.stop(p))).toMap.asJava
    val source = KafkaSource.builder[Event].setProperties(job.properties).setTopics(job.topic)
      .setDeserializer(new Parse(job))
      .setStartingOffsets(OffsetsInitializer.committedOffsets(OffsetResetStrategy.EARLIEST))
      .setBounded(OffsetsInitializer.offsets(ends)).build()
    new EndingSource(source, job.partitions)
  }

  final class Parse(job: Job) extends KafkaRecordDeserializationSchema[Event] {
    def deserialize(record: ConsumerRecord[Array[Byte], Array[Byte]], out: Out[Event]): Unit = {
      val message = job.parse(record.value)
      if (message != null) out.collect(Tuple3.of(message.key, message.time, message.value))
    }
    def getProducedType: TypeInformation[Event] = EventType
  }

  final class Key extends KeySelector[Event, JInt] { def getKey(event: Event): JInt = event.f0 }

  /** Count, sum, and highest time. */
  final class Sums extends AggregateFunction[Event, Array[Long], Array[Long]] {
    def createAccumulator(): Array[Long] = Array(0, 0, Long.MinValue)
    def add(event: Event, total: Array[Long]): Array[Long] =
      Array(total(0) + 1, total(1) + event.f2, math.max(total(2), event.f1))
    def getResult(total: Array[Long]): Array[Long] = total
    def merge(a: Array[Long], b: Array[Long]): Array[Long] = Array(a(0) + b(0), a(1) + b(1), math.max(a(2), b(2)))
  }

  final class Emit extends ProcessWindowFunction[Array[Long], Result, JInt, TimeWindow] {
    def process(key: JInt, context: ProcessWindowFunction[Array[Long], Result, JInt, TimeWindow]#Context,
        totals: java.lang.Iterable[Array[Long]], out: Out[Result]): Unit = {
      val total = totals.iterator.next()
      out.collect(Tuple6.of(context.window.getStart, key, total(0), total(1), total(2), false))
    }
  }

  final class LateRows(window: Long) extends MapFunction[Event, Result] {
    def map(event: Event): Result =
      Tuple6.of(Math.floorDiv(event.f1.longValue, window) * window, event.f0, 1L, event.f2, event.f1, true)
  }
}
