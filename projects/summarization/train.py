"""Fine-tune this project's model, measure it, and write down the evidence.

    accelerate launch projects/PROJECT/train.py --config projects/PROJECT/starter.yaml
    accelerate launch projects/PROJECT/train.py --help

The file is the same in every project: its folder's name says which one. `kit train PROJECT` is the short way.
"""

from pathlib import Path

from common.system.errors import exit_with_sentence


def main() -> None:
    from common.fine_tune import fine_tune

    fine_tune(Path(__file__).resolve().parent.name)


if __name__ == "__main__":
    exit_with_sentence(main)
