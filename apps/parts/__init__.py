"""What the demos share: each module is one part, and imports only those below it.

server: a demo's server and command line
gate: what passes between a visitor and Gradio; calls, uploads, login, connections are its parts
classifier, texts: what demos have in common whose answers are labels, or whose questions are texts
demo: the base class of all
answers, corrections: what a visitor sees; what a visitor gives back
inputs, guard, visitors, batch_queue, drawing, look: limits and checks; errors; who asks; batches; the pad; the look
"""
