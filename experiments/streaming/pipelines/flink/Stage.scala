package benchpaper

import org.apache.flink.api.common.JobExecutionResult
import org.apache.flink.api.common.accumulators.{LongCounter, LongMaximum, LongMinimum}
import org.apache.flink.api.common.functions.{OpenContext, RichMapFunction}

import FlinkPipeline.Event

/** What a stage does for each event: `steps` of work, which take a processor, or a request to the store if there are none, for
  * whose answer the thread waits. Nothing of the event changes. */
final class Stage(job: Job, steps: Int) extends RichMapFunction[Event, Event] {
  private var result = 0L // kept, so that the compiler keeps the work
  @transient private var first: LongMinimum = _
  @transient private var last: LongMaximum = _
  @transient private var events: LongCounter = _

  override def open(context: OpenContext): Unit = {
    first = new LongMinimum
    last = new LongMaximum
    events = new LongCounter
    getRuntimeContext.addAccumulator(Stage.First, first)
    getRuntimeContext.addAccumulator(Stage.Last, last)
    getRuntimeContext.addAccumulator(Stage.Events, events)
  }

  def map(event: Event): Event = {
    if (events.getLocalValuePrimitive == 0) first.add(System.currentTimeMillis)
    if (steps > 0) result += Work(event.f2, steps) else job.lake.ask()
    events.add(1)
    last.add(System.currentTimeMillis)
    event
  }
}

object Stage {
  private val First = "first"
  private val Last = "last"
  private val Events = "events"

  /** Says how many events the stages of the last attempt have had, and how long it took, by the clocks of their hosts. */
  def report(result: JobExecutionResult): Unit = {
    def value(name: String): Long = result.getAccumulatorResult[java.lang.Long](name)
    Report.line("staged" -> value(Events), "stage_s" -> (value(Last) - value(First)) / 1e3, "net_s" -> result.getNetRuntime / 1e3)
  }
}
