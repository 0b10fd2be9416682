"""What reaches the terminal of the person who runs a command."""

from osg_site_iaas.cli import terminal
from osg_site_iaas.plan.render import Line

EVIL = "a\x1b[31m\x07\x9b2J\u202eb\u200f"
TAME = r"a\x1b[31m\x07\x9b2J\u202eb\u200f"


def test_what_could_steer_a_terminal_is_escaped(capsys):
    terminal.show([Line(EVIL, "remove"), Line("zwei → größer", "note")])
    terminal.show_text(f"{EVIL}\n", "title")
    assert capsys.readouterr().out == f"{TAME}\nzwei → größer\n{TAME}\\n\n"


def test_what_is_said_may_have_lines_and_nothing_else(capsys):
    terminal.say(f"failed: {EVIL}\n  -> do\r")
    assert capsys.readouterr().err == f"failed: {TAME}\n  -> do\\r\n"


def test_names_in_a_progress_bar_are_no_markup():
    with terminal.progress("Applying", 1) as step:
        step("bucket [/red]", 1, 1)
