"""Fine-tune a text classifier, measure it, and write down the evidence.

    accelerate launch projects/text_classification/train.py --config projects/text_classification/starter.yaml
    accelerate launch projects/text_classification/train.py --train_file my.csv --text_column review --label_column stars

`--help` lists the options; `kit train text_classification` is the short way.
"""

from common.errors import exit_with_sentence


def main() -> None:
    from common.fit import fine_tune
    from projects.text_classification.task import TextClassification

    fine_tune(TextClassification)


if __name__ == "__main__":
    exit_with_sentence(main)
