package benchpaper

import java.lang.{Integer => JInt, Long => JLong}
import java.util.concurrent.ConcurrentLinkedQueue

import org.apache.flink.api.common.eventtime.WatermarkStrategy
import org.apache.flink.api.common.functions.{AggregateFunction, MapFunction}
import org.apache.flink.api.common.typeinfo.Types
import org.apache.flink.api.java.functions.KeySelector
import org.apache.flink.api.java.tuple.{Tuple2 => Pair}
import org.apache.flink.configuration.Configuration
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows
import org.apache.flink.streaming.api.windowing.windows.TimeWindow
import org.apache.flink.util.{Collector => Out}

/** The aggregation in Flink's own operators, in its local mode (one process), with a parallelism of one. */
object FlinkAggregate extends App {
  type Total = Pair[JLong, JLong]

  Passes(args) { (input, collector) =>
    Results.collector = collector
    val settings = new Configuration
    FlinkLogins.leaveOut(settings)
    val flink = StreamExecutionEnvironment.createLocalEnvironment(1, settings)
    flink.getConfig.enableObjectReuse()
    flink.getConfig.setAutoWatermarkInterval(5)
    flink.fromSequence(0, input.size - 1)
      .map(new Read(input)).returns(Types.TUPLE[Pair[JLong, JLong]](Types.LONG, Types.LONG))
      .assignTimestampsAndWatermarks(WatermarkStrategy.forMonotonousTimestamps[Pair[JLong, JLong]]
        .withTimestampAssigner((event: Pair[JLong, JLong], _: Long) => event.f0.longValue))
      .keyBy(new Key, Types.INT)
      .window(TumblingEventTimeWindows.of(java.time.Duration.ofMillis(input.window)))
      .aggregate(new Totals, new Emit(input.window), Types.TUPLE[Total](Types.LONG, Types.LONG),
        Types.TUPLE[Total](Types.LONG, Types.LONG), Types.BOOLEAN)
    flink.execute()
  }

  final class Read(input: Input) extends MapFunction[JLong, Pair[JLong, JLong]] {
    def map(i: JLong): Pair[JLong, JLong] = Pair.of(i, input.read(i.intValue))
  }

  final class Key extends KeySelector[Pair[JLong, JLong], JInt] {
    def getKey(event: Pair[JLong, JLong]): JInt = Event.key(event.f1)
  }

  final class Totals extends AggregateFunction[Pair[JLong, JLong], Total, Total] {
    def createAccumulator(): Total = Pair.of(0L, 0L)
    def add(event: Pair[JLong, JLong], total: Total): Total =
      Pair.of(total.f0 + 1L, total.f1 + Event.value(event.f1))
    def getResult(total: Total): Total = total
    def merge(a: Total, b: Total): Total = Pair.of(a.f0 + b.f0, a.f1 + b.f1)
  }

  final class Emit(window: Int) extends ProcessWindowFunction[Total, java.lang.Boolean, JInt, TimeWindow] {
    def process(key: JInt, context: ProcessWindowFunction[Total, java.lang.Boolean, JInt, TimeWindow]#Context,
        totals: java.lang.Iterable[Total], out: Out[java.lang.Boolean]): Unit = {
      val total = totals.iterator.next()
      Results.collector.take(Aggregated((context.window.getStart / window).toInt, key, total.f0, total.f1))
    }
  }
}

/** Where the operators of the local mode, which share this process, leave their results. */
object Results {
  @volatile var collector: Collector = _
}
