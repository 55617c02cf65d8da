package benchpaper

import scala.jdk.CollectionConverters._

import io.reactivex.rxjava3.core.Flowable
import io.reactivex.rxjava3.flowables.GroupedFlowable
import io.reactivex.rxjava3.schedulers.Schedulers

/** The pipeline in RxJava: grouped by partition, then by key. Each partition is written in order, on a thread for waiting. */
object RxPipeline extends App {
  private final case class Place(turn: Turn, offset: Long)
  private type Part = (Close[Long], Option[Row])
  private type Closed = (Close[Long], Vector[Row])
  private val Unbounded = Int.MaxValue

  private val job = new Job(args)
  private val reader = new Reader(job)
  private val polled: java.lang.Iterable[Read] = () => reader.asJava

  Flowable.fromIterable(polled)
    .subscribeOn(Schedulers.newThread())
    .groupBy[Turn]((read: Read) => read.turn)
    .flatMap[Place]((reads: GroupedFlowable[Turn, Read]) => partition(reads.getKey, reads), Unbounded)
    .blockingForEach((place: Place) => reader.written(place.turn, place.offset))
  reader.close()
  job.end()

  private def partition(turn: Turn, reads: Flowable[Read]): Flowable[Place] = {
    val filling = new Filling(job, turn.partition)
    val gather = new Gather[Long]
    reads
      .observeOn(Schedulers.computation())
      .concatMapIterable[Step]((read: Read) => filling.steps(read, reader.last(read)).asJava)
      .groupBy[Int]((step: Step) => step.key)
      .flatMap[Part]((steps: GroupedFlowable[Int, Step]) => windows(steps.getKey, steps), Unbounded)
      .concatMapIterable[Closed]((part: Part) => gather(part).asJava)
      .observeOn(Schedulers.io())
      .concatMapIterable[Place]((closed: Closed) => {
        job.write(turn.partition, closed._1, closed._2)
        closed._1.resume.map(Place(turn, _)).toList.asJava
      })
  }

  private def windows(key: Int, steps: Flowable[Step]): Flowable[Part] = {
    val totals = new Totals(key)
    steps.concatMapIterable[Part]((step: Step) => step match {
      case add: Add => totals.add(add); java.util.Collections.emptyList[Part]
      case CloseKey(_, close) =>
        java.util.Collections.singletonList[Part]((close.asInstanceOf[Close[Long]], totals.close(close.window)))
    })
  }
}
