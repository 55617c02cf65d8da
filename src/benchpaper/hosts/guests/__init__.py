"""Guests: target hosts with kernels of their own, on this machine (`uml`, `qemu`).

A guest boots from this machine's files, which it can read but not change (`view`); what it writes
stays in its memory (`init`). It speaks with the controller over a serial line that does not depend
on its network (`channel`), and the same agent serves it that serves hosts over SSH. A process
(`keeper`) holds each guest, and the guest dies with it. `connection.GuestConnecting` boots a guest
when a site's hosts are connected, which is once per block, before anything is measured.
"""
