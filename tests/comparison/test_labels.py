import random

from clockwork_pack.comparison.labels import nearest, place_labels

FRAME = (0.0, 0.0, 600.0, 400.0)


def overlap(one, other):
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])


def test_a_lonely_name_stands_right_of_its_point():
    (box,) = place_labels([(100.0, 100.0)], [(80.0, 20.0)], 10.0, FRAME)
    assert box == (110.0, 90.0, 190.0, 110.0)


def test_at_the_right_edge_it_stands_left():
    (box,) = place_labels([(590.0, 100.0)], [(80.0, 20.0)], 10.0, FRAME)
    assert box == (500.0, 90.0, 580.0, 110.0)


def test_it_makes_way_for_a_line():
    (box,) = place_labels([(100.0, 100.0)], [(80.0, 20.0)], 10.0, FRAME, [(100.0, 100.0), (500.0, 100.0)])
    assert box == (10.0, 90.0, 90.0, 110.0)


def test_names_of_crowded_points_do_not_meet():
    chance = random.Random(0)
    points = [(300 + chance.uniform(-60, 60), 200 + chance.uniform(-60, 60)) for _ in range(10)]
    boxes = place_labels(points, [(90.0, 18.0)] * 10, 12.0, FRAME)
    assert not any(overlap(boxes[a], boxes[b]) for a in range(10) for b in range(a))
    assert all(box[0] >= 0 and box[1] >= 0 and box[2] <= 600 and box[3] <= 400 for box in boxes)


def test_nearest_place_of_a_box():
    box = (10.0, 10.0, 20.0, 20.0)
    assert nearest(box, (0.0, 15.0)) == (10.0, 15.0)
    assert nearest(box, (30.0, 40.0)) == (20.0, 20.0)
