"""The public face for type checkers and editors: the names of `_HOMES`, with their types."""

from benchpaper.analysis import quality as quality
from benchpaper.analysis import stats as stats
from benchpaper.analysis import style as style
from benchpaper.analysis.claims import claim as claim
from benchpaper.analysis.estimates import Estimate as Estimate
from benchpaper.analysis.estimates import gap as gap
from benchpaper.analysis.exhibits import Exhibits as Exhibits
from benchpaper.analysis.sites import load as load
from benchpaper.analysis.summary import Summary as Summary
from benchpaper.core.errors import UserError as UserError
from benchpaper.design.declarations import Cell as Cell
from benchpaper.design.declarations import Evidence as Evidence
from benchpaper.design.declarations import Factor as Factor
from benchpaper.design.declarations import Metric as Metric
from benchpaper.design.declarations import Scale as Scale
from benchpaper.design.inputs import Input as Input
from benchpaper.design.replication import Block as Block
from benchpaper.design.spec import Experiment as Experiment
from benchpaper.hosts import CommandFailed as CommandFailed
from benchpaper.hosts import Host as Host
from benchpaper.hosts import HostError as HostError
from benchpaper.hosts import Process as Process
from benchpaper.hosts import probe as probe
from benchpaper.hosts.local import LocalHost as LocalHost
from benchpaper.hosts.probe import CAPABILITIES as CAPABILITIES
from benchpaper.hosts.probe import capability as capability
