"""The demo of the invented project."""

from apps.parts import server
from apps.parts.texts import TextQuestions


class WarmthDemo(TextQuestions):
    """Questions are texts, answers are numbers."""


build = WarmthDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
