package benchpaper

import scala.jdk.CollectionConverters._

import reactor.core.publisher.{Flux, GroupedFlux}
import reactor.core.scheduler.Schedulers

/** The pipeline in Reactor: grouped by partition, then by key. Each partition is written in order, on a thread for waiting. */
object ReactorPipeline extends App {
  private final case class Place(turn: Turn, offset: Long)
  private type Part = (Close[Long], Option[Row])
  private type Closed = (Close[Long], Vector[Row])
  private val Unbounded = Int.MaxValue

  private val job = new Job(args)
  private val reader = new Reader(job)
  private val polled: java.lang.Iterable[Read] = () => reader.asJava

  Flux.fromIterable[Read](polled)
    .subscribeOn(Schedulers.newSingle("poll"))
    .groupBy[Turn]((read: Read) => read.turn)
    .flatMap[Place]((reads: GroupedFlux[Turn, Read]) => partition(reads.key, reads), Unbounded)
    .doOnNext((place: Place) => reader.written(place.turn, place.offset))
    .blockLast()
  reader.close()
  job.end()

  private def partition(turn: Turn, reads: Flux[Read]): Flux[Place] = {
    val filling = new Filling(job, turn.partition)
    val gather = new Gather[Long]
    reads
      .publishOn(Schedulers.parallel())
      .concatMapIterable[Step]((read: Read) => filling.steps(read, reader.last(read)).asJava)
      .groupBy[Int]((step: Step) => step.key)
      .flatMap[Part]((steps: GroupedFlux[Int, Step]) => windows(steps.key, steps), Unbounded)
      .concatMapIterable[Closed]((part: Part) => gather(part).asJava)
      .publishOn(Schedulers.boundedElastic())
      .concatMapIterable[Place]((closed: Closed) => {
        job.write(turn.partition, closed._1, closed._2)
        closed._1.resume.map(Place(turn, _)).toList.asJava
      })
  }

  private def windows(key: Int, steps: Flux[Step]): Flux[Part] = {
    val totals = new Totals(key)
    steps.concatMapIterable[Part]((step: Step) => step match {
      case add: Add => totals.add(add); java.util.Collections.emptyList[Part]
      case CloseKey(_, close) =>
        java.util.Collections.singletonList[Part]((close.asInstanceOf[Close[Long]], totals.close(close.window)))
    })
  }
}
