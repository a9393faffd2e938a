"""What the demos share: each module is one part, and imports only those below it.

server: a demo's server and command line
gate: what passes between a visitor and Gradio; calls, uploads, login, connections are its parts
classifier, texts: what demos have in common whose answers are labels, or whose questions are texts
demo: the base class of all
evidence, answers, corrections: what stands around the answers; what they look like; what a visitor gives back
link, look: what a shared link shows; the look of the page
inputs, guard, visitors, batch_queue, drawing: limits and checks; errors; who asks; batches; the pad
"""
