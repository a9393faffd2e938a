"""Fine-tune an image classifier, measure it, and write down the evidence.

    accelerate launch projects/image_classification/train.py --config projects/image_classification/starter.yaml
    accelerate launch projects/image_classification/train.py --image_folder my_pictures

`--help` lists the options; `kit train image_classification` is the short way.
"""

from common.errors import exit_with_sentence


def main() -> None:
    from common.fit import fine_tune
    from projects.image_classification.task import ImageClassification

    fine_tune(ImageClassification)


if __name__ == "__main__":
    exit_with_sentence(main)
