package AI::MXNet::IO::Crop;
use 5.014;
use strict;
use warnings;
use List::Util qw(max min);
use AI::MXNet::IO::Boxes;

# Where a picture is cut that is first given a border, scaled, or cut to a part of any size and ratio.

# Draws of an area and a ratio that may not fit before the middle is taken.
use constant TRIALS => 10;

# Height and width once the shorter side has been made so long.
sub shortened
{
    my ($height, $width, $side) = @_;
    return ($height, $width) if $side <= 0;
    return $height > $width ? (int($side * $height / $width), $side) : ($side, int($side * $width / $height));
}

# A part with an area and a ratio from ranges, as width and height; none where it would not fit.
sub resized
{
    my ($height, $width, $areas, $ratios) = @_;
    for (1 .. TRIALS) {
        my $area = AI::MXNet::IO::Boxes::uniform(@$areas) * $height * $width;
        my $ratio = AI::MXNet::IO::Boxes::uniform(@$ratios);
        my ($w, $h) = map { int($_ + 0.5) } sqrt($area * $ratio), sqrt($area / $ratio);
        ($w, $h) = ($h, $w) if rand() < 0.5;
        return ($w, $h) if $w > 0 and $h > 0 and $w <= $width and $h <= $height;
    }
    return;
}

# The largest width and height of a ratio, no more than wanted, that there is room for.
sub fitting
{
    my ($height, $width, $want_width, $want_height) = @_;
    my $scale = min(1, $width / $want_width, $height / $want_height);
    return map { max(1, int($_ * $scale + 1e-9)) } $want_width, $want_height;
}

# Left, top, right and bottom of a part, as parts of the picture without its border.
sub window
{
    my ($height, $width, $with) = @_;
    my $pad = $with->{pad};
    my ($room_down, $room_across) = ($height + 2 * $pad, $width + 2 * $pad);
    my ($want_width, $want_height) = ($with->{width}, $with->{height});
    my @size;
    if ($with->{areas}) {
        @size = resized($room_down, $room_across, @$with{qw(areas ratios)});
        my $all = 1e9;
        @size = fitting($room_down, $room_across, $want_width * $all, $want_height * $all) if not @size;
    } elsif ($with->{sizes}) {
        my ($from, $to) = @{ $with->{sizes} };
        @size = (min($from + int rand($to - $from + 1), $room_across, $room_down)) x 2;
    } else {
        my $scale = AI::MXNet::IO::Boxes::uniform(@{ $with->{scales} });
        @size = fitting($room_down, $room_across, $want_width / $scale, $want_height / $scale);
    }
    my ($x, $y) = map { my $room = $_; $with->{any} ? int rand($room + 1) : int($room / 2) } $room_across - $size[0],
        $room_down - $size[1];
    return (
        ($x - $pad) / $width,
        ($y - $pad) / $height,
        ($x - $pad + $size[0]) / $width,
        ($y - $pad + $size[1]) / $height
    );
}

1;
