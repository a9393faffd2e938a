"""One solution of lesson 1's exercises: proof that its checks can be passed."""


def second_derivative(f, x, h=1e-4):
    return (f(x + h) - 2 * f(x) + f(x - h)) / h**2


def largest_safe_step_size(curvature):
    return 2 / curvature


def descend_with_decay(derivative, start, step_size, decay, steps):
    path = [start]
    for step in range(steps):
        path.append(path[-1] - step_size * decay**step * derivative(path[-1]))
    return path


def newton(derivative, second, start, steps):
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - derivative(path[-1]) / second(path[-1]))
    return path
