"""The commands of the lab: `benchpaper lab up`, `down` and `status`."""

import click

from benchpaper.cli.common import Group
from benchpaper.core.project import Project
from benchpaper.hosts.lab.namespaces import SITE, Lab, need_root_and_programs, sweep


@click.group(cls=Group)
def lab() -> None:
    """Several target hosts on this machine (needs root).

    They are network namespaces, each with an SSH server.

    \b
    Example:  benchpaper lab up --hosts 2
    """


@lab.command()
@click.option("--hosts", default=2, show_default=True, help="How many.")
@click.option("--rate", metavar="RATE", help='Limit each link, as "1gbit" (by tbf).')
def up(hosts: int, rate: str | None) -> None:
    """Make the lab and write sites/lab.yaml; then use --site lab.

    \b
    Example:  benchpaper lab up --hosts 3 --rate 1gbit
    """
    made = Lab(Project.find())
    made.up(hosts, rate)
    click.echo(f"{hosts} hosts, {made.address(1)} and on; try: benchpaper doctor --site {SITE}")


@lab.command()
def down() -> None:
    """Remove every trace of the lab.

    It also removes a lab that was killed, and labs whose owner is gone.

    \b
    Example:  benchpaper lab down
    """
    need_root_and_programs()
    removed = Lab(Project.find()).down() + sweep()
    click.echo(f"removed {', '.join(removed)}" if removed else "there was no lab")


@lab.command()
def status() -> None:
    """The hosts of the lab, and how many processes run on each.

    \b
    Example:  benchpaper lab status
    """
    hosts = Lab(Project.find()).status()
    for host in hosts:
        click.echo(
            f"{host['host']}  {host['address']}  namespace {host['namespace']}  "
            f"{host['processes']} processes"
        )
    if not hosts:
        click.echo('there is no lab; "benchpaper lab up" makes one')
