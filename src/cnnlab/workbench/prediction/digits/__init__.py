"""Any picture of one handwritten digit, as MNIST's authors would have made it.

LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition", section III.A: digits
are fitted into a box of 20x20 pixels, the sides' ratio kept, grey by anti-aliasing, and put into 28x28 pixels by their
centre of mass. All 60,000 training images have their centre of mass within half a pixel of pixel 14 (counted from 0,
at pixels' centres): whole pixels are shifted, and 14 is what is rounded to. 59,987 of them have a longest side of 20.

On the way there: find what stands out from its surroundings, decide whether strokes are dark or light, cut the digit
out at a scale that keeps its detail, take the paper with its shadows away, and keep what belongs together. A frame is
left out, and specks, shadows and what runs along the picture's border as far as they can be told from strokes.
"""
