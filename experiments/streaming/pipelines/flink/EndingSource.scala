package benchpaper

import org.apache.flink.api.common.typeinfo.TypeInformation
import org.apache.flink.api.connector.source.{Boundedness, Source, SourceEvent, SourceReader, SourceReaderContext}
import org.apache.flink.api.connector.source.{SplitEnumerator, SplitEnumeratorContext}
import org.apache.flink.api.java.typeutils.ResultTypeQueryable
import org.apache.flink.connector.kafka.source.KafkaSource
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit
import org.apache.flink.core.io.SimpleVersionedSerializer

import FlinkPipeline.Event

/** A Kafka source with an end, which ends after a start from a checkpoint as well.
  *
  * Restored, the connector's enumerator finds no partition that it does not know, and returns before it tells the readers that
  * no more will come (FLINK-31006). They read to their ends and then wait for ever, so the last windows stay open. Here the
  * readers hear it once each of the partitions has a reader. */
final class EndingSource(source: KafkaSource[Event], partitions: Int)
    extends Source[Event, KafkaPartitionSplit, KafkaSourceEnumState] with ResultTypeQueryable[Event] {
  private type Enumerator = SplitEnumerator[KafkaPartitionSplit, KafkaSourceEnumState]
  private type Context = SplitEnumeratorContext[KafkaPartitionSplit]

  def getBoundedness: Boundedness = source.getBoundedness
  def getProducedType: TypeInformation[Event] = source.getProducedType
  def createReader(context: SourceReaderContext): SourceReader[Event, KafkaPartitionSplit] = source.createReader(context)
  def createEnumerator(context: Context): Enumerator = source.createEnumerator(context)
  def restoreEnumerator(context: Context, state: KafkaSourceEnumState): Enumerator =
    new Ending(source.restoreEnumerator(context, state), context)
  def getSplitSerializer: SimpleVersionedSerializer[KafkaPartitionSplit] = source.getSplitSerializer
  def getEnumeratorCheckpointSerializer: SimpleVersionedSerializer[KafkaSourceEnumState] = source.getEnumeratorCheckpointSerializer

  private final class Ending(restored: Enumerator, context: Context) extends SplitEnumerator[KafkaPartitionSplit, KafkaSourceEnumState] {
    private var checkpoint = 0L // the newest; the enumerator's state does not depend on the number

    def addReader(reader: Int): Unit = {
      restored.addReader(reader)
      // Partitions that are not assigned yet are new to the connector: then it tells the readers itself.
      if (restored.snapshotState(checkpoint).assignedSplits.size == partitions)
        context.registeredReaders.keySet.forEach(each => context.signalNoMoreSplits(each))
    }

    def start(): Unit = restored.start()
    def handleSplitRequest(reader: Int, host: String): Unit = restored.handleSplitRequest(reader, host)
    def addSplitsBack(splits: java.util.List[KafkaPartitionSplit], reader: Int): Unit = restored.addSplitsBack(splits, reader)
    def snapshotState(id: Long): KafkaSourceEnumState = { checkpoint = id; restored.snapshotState(id) }
    override def notifyCheckpointComplete(id: Long): Unit = restored.notifyCheckpointComplete(id)
    override def handleSourceEvent(reader: Int, event: SourceEvent): Unit = restored.handleSourceEvent(reader, event)
    def close(): Unit = restored.close()
  }
}
