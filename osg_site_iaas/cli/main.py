"""The command ``osg-site-iaas``: one module a command group, found by name."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Callable, Optional, Sequence

from osg_site_iaas import __version__
from osg_site_iaas.cloud import logins
from osg_site_iaas.declaration.read import printable
from osg_site_iaas.errors import SiteError, trouble

# name -> (module of osg_site_iaas.cli, help). A module has configure(parser) and run(args) -> exit code;
# only the one that is called is imported, so that a command starts fast and needs only its own libraries.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "write a site.yml from OSG Topology"),
    "check": ("check", "report every problem of a site.yml"),
    "migrate": ("migrate", "rewrite an older site.yml to the current version"),
    "plan": ("plan", "show what would change in OpenStack"),
    "apply": ("apply", "make OpenStack what site.yml says"),
    "adopt": ("adopt", "take over existing objects by name"),
    "whois": ("whois", "explain who a credential would be, and why"),
    "ban": ("ban", "shut a person, a role or a VO out, and take back what they hold"),
    "keystone-policy": ("keystone_policy", "the policy by which Keystone enforces `ec2_keys: false`"),
    "credentials": ("credentials", "service key pairs for a VO's factory"),
    "doctor": ("doctor", "examine the site: what is wrong, and what to do"),
    "status": ("status", "write the status page of the site"),
    "who": ("who", "who had an address at a time, deleted servers included"),
    "backup": ("backup", "save what this host alone knows, in one archive"),
    "restore": ("restore", "put back what a backup holds"),
    "accounting": ("accounting", "read usage, deliver records, audit them"),
    "sandbox": ("sandbox", "a real OpenStack on this machine, to rehearse and test"),
    "demo": ("demo", "the whole story, end to end, in the sandbox"),
}

EPILOG = """\
exit codes: 0 done or nothing to do, 2 changes or findings, 1 error.
Every command takes --help, and those that report take --json.
"""


def build_parser(only: Optional[str] = None) -> argparse.ArgumentParser:
    """The parser; with ``only``, the other commands are listed but cannot parse anything."""
    parser = argparse.ArgumentParser(
        prog="osg-site-iaas",
        description="Turns the spare machines of an OSG site into a cloud its VOs can use.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module_name, help_line) in COMMANDS.items():
        if only is not None and name != only:
            commands.add_parser(name, help=help_line)
            continue
        module = importlib.import_module(f"osg_site_iaas.cli.{module_name}")
        sub = commands.add_parser(
            name,
            help=help_line,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; errors that a user can act on are printed in words, never as a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser(only=words[0] if words else "")
    args = parser.parse_args(words)
    run: Optional[Callable[[argparse.Namespace], int]] = getattr(args, "run", None)
    if run is None:
        parser.print_help()
        return 1
    _find_clouds()
    try:
        return run(args)
    except SiteError as error:
        print(printable(f"osg-site-iaas {args.command}: {error}", keep="\n"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename is None:  # not of a file: it would say nothing
            raise
        wrong = trouble(error, "look at it, and at the file system it is on")
        print(printable(f"osg-site-iaas {args.command}: {wrong}", keep="\n"), file=sys.stderr)
        return 1


def _find_clouds() -> None:
    """On a host that is set up with units, the administrator's login is where they have it, unless another is named."""
    named = logins.VARIABLE in os.environ or any(map(os.path.exists, logins.usual()))
    if not named and os.access(logins.CONTROL, os.R_OK):
        os.environ[logins.VARIABLE] = str(logins.CONTROL)


if __name__ == "__main__":
    sys.exit(main())
