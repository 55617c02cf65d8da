"""The commands of the lab: `benchpaper lab up`, `down` and `status`."""

import os

import click

from benchpaper.cli.common import Group
from benchpaper.core.project import Project
from benchpaper.hosts.lab import kernel_package
from benchpaper.hosts.lab.namespaces import SITE, Lab, need_root_and_programs, sweep
from benchpaper.hosts.site import GUESTS


@click.group(cls=Group)
def lab() -> None:
    """Several target hosts on this machine.

    Hosts are network namespaces, each with an SSH server, and need root. Guests have kernels of
    their own (User-Mode Linux, or an emulated machine). Each command that uses them boots them, in
    a few seconds.

    \b
    Example:  benchpaper lab up --hosts 2
              benchpaper lab up --guests 2
              benchpaper lab kernel
              benchpaper lab up --guests 2 --kind qemu
    """


@lab.command()
def kernel() -> None:
    """Unpack a kernel for emulated guests.

    It is that of this machine's distribution. The command downloads some 70 MB by apt, and keeps
    200 MB below .benchpaper. Nothing is installed.

    \b
    Example:  benchpaper lab kernel
    """
    Project.find()
    click.echo(f"Linux {kernel_package.unpack()}; try: benchpaper lab up --guests 2 --kind qemu")


@lab.command()
@click.option("--hosts", type=int, help="How many namespaces.  [default: 2 without --guests]")
@click.option("--guests", default=0, help="How many guests with a kernel of their own.")
@click.option(
    "--kind",
    type=click.Choice(GUESTS),
    default=GUESTS[0],
    show_default=True,
    help="What the guests are: User-Mode Linux, or emulated (more devices, no valid times).",
)
@click.option(
    "--rate",
    metavar="RATE",
    help='Limit each link, as "1gbit" (by tbf): of guests, what they receive.',
)
def up(hosts: int | None, guests: int, kind: str, rate: str | None) -> None:
    """Make the lab and write sites/lab.yaml; then use --site lab.

    An ordinary user may have guests only. They reach each other, and by passt this machine.

    \b
    Example:  benchpaper lab up --hosts 3 --rate 1gbit
              benchpaper lab up --guests 2
    """
    wanted = (0 if guests else 2) if hosts is None else hosts
    Lab(Project.find()).up(wanted, rate, guests=guests, kind=kind)
    made = [f"{count} {name}" for count, name in ((wanted, "hosts"), (guests, "guests")) if count]
    click.echo(f"{' and '.join(made)}; try: benchpaper doctor --site {SITE}")


@lab.command()
def down() -> None:
    """Remove every trace of the lab.

    It also removes a lab that was killed, and labs whose owner is gone.

    \b
    Example:  benchpaper lab down
    """
    made = Lab(Project.find())
    if os.geteuid() == 0 or made.needs_root():
        need_root_and_programs()
    removed = made.down() + (sweep() if os.geteuid() == 0 else [])
    click.echo(f"removed {', '.join(removed)}" if removed else "there was no lab")


@lab.command()
def status() -> None:
    """The hosts of the lab, with the processes on each, and its guests.

    \b
    Example:  benchpaper lab status
    """
    made = Lab(Project.find())
    hosts, guests = made.status(), made.guests()
    for host in hosts:
        click.echo(
            f"{host['host']}  {host['address']}  namespace {host['namespace']}  "
            f"{host['processes']} processes"
        )
    for name, address in guests.items():
        click.echo(f"{name}  {address}  boots when a command uses it")
    if not hosts and not guests:
        click.echo('there is no lab; "benchpaper lab up" makes one')
