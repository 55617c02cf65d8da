package benchpaper

import org.apache.flink.configuration.Configuration

/** Flink's logins to Hadoop, which is on the class path for Parquet only: they do not work on this Java. */
object FlinkLogins {
  def leaveOut(settings: Configuration): Unit = {
    settings.setString("security.delegation.tokens.enabled", "false")
    settings.setString("security.module.factory.classes", "org.apache.flink.runtime.security.modules.JaasModuleFactory")
  }
}
