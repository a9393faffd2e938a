"""The demo of the lessons: move the learning rate, place points, look into attention, let the GPT write.

What is shown comes from the functions of the lessons; here the inputs are checked and the answers drawn. It needs
no run: `python -m apps.foundations`.
"""
