package AI::MXNet::IO::Boxes;
use 5.014;
use strict;
use warnings;
use List::Util qw(max min);

# Windows over pictures with boxes: cut out of them, or around them. Boxes and windows are left, top, right and bottom, as parts of the
# picture; an object is a class, its box, and whatever else.

sub uniform { my ($from, $to) = @_; return $from + ($to - $from) * rand }
sub rounded { my $x = shift; return int($x + ($x < 0 ? -0.5 : 0.5)) }

# How many pixels lie between two edges.
sub pixels { my ($from, $to, $side) = @_; return rounded($to * $side) - rounded($from * $side) }
sub area { my $box = shift; return ($box->[2] - $box->[0]) * ($box->[3] - $box->[1]) }

sub shared
{
    my ($x, $y) = @_;
    my $width = min($x->[2], $y->[2]) - max($x->[0], $y->[0]);
    my $height = min($x->[3], $y->[3]) - max($x->[1], $y->[1]);
    return $width > 0 && $height > 0 ? $width * $height : 0;
}

# A window of any place in the picture: its area is a square of a scale from a range, its width to its height, in pixels, a ratio from
# a range. None where the picture has no room for those that were drawn.
sub window
{
    my ($sampler, $aspect) = @_;
    my $scale = max(uniform(@{ $sampler->{scales} }), 1e-6);
    my ($from, $to) = map { $_ / $aspect } @{ $sampler->{aspect_ratios} };
    $from = max($from, $scale**2);
    $to = min($to, 1 / $scale**2);
    return if $from > $to + 1e-9;
    my $ratio = sqrt uniform($from, $to);
    my ($width, $height) = (min(1, $scale * $ratio), min(1, $scale / $ratio));
    my ($left, $top) = (uniform(0, 1 - $width), uniform(0, 1 - $height));
    return [$left, $top, $left + $width, $top + $height];
}

sub _within { my ($value, $range) = @_; return $value >= $range->[0] && $value <= $range->[1] }

# Whether a window has, with one of the objects, as much in common as the sampler wants: of both together, of the window, of the object.
sub suits
{
    my ($sampler, $window, $objects) = @_;
    my @wanted = grep { $sampler->{$_}[0] > 0 or $sampler->{$_}[1] < 1 } qw(overlaps sample_coverages object_coverages);
    return 1 if not @wanted;
    for my $object (@$objects) {
        my $box = [@$object[1 .. 4]];
        my ($common, $own, $its) = (shared($window, $box), area($window), area($box));
        my %value = (
            overlaps => $own + $its > $common ? $common / ($own + $its - $common) : 0,
            sample_coverages => $common / $own,
            object_coverages => $its > 0 ? $common / $its : 0,
        );
        return 1 if not grep { !_within($value{$_}, $sampler->{$_}) } @wanted;
    }
    return 0;
}

# The objects as they lie in a window; those that are no longer in it are left out. $least is what part of a box must be left; without
# it the middle must.
sub seen
{
    my ($window, $objects, $least) = @_;
    my ($left, $top, $right, $bottom) = @$window;
    my ($width, $height) = ($right - $left, $bottom - $top);
    my @seen;
    for my $object (@$objects) {
        my ($class, $l, $t, $r, $b, @rest) = @$object;
        my ($x, $y) = (($l + $r) / 2, ($t + $b) / 2);
        my $is_there =
            defined $least
            ? shared($window, [$l, $t, $r, $b]) >= $least * area([$l, $t, $r, $b])
            : $x >= $left && $x <= $right && $y >= $top && $y <= $bottom;
        next if not $is_there;
        my @box = (($l - $left) / $width, ($t - $top) / $height, ($r - $left) / $width, ($b - $top) / $height);
        push @seen, [$class, (map { max(0, min(1, $_)) } @box), @rest];
    }
    return @seen;
}

# A window that one of the samplers found, and the objects in it; none where none of them found one with an object.
sub crop
{
    my ($samplers, $aspect, $objects, $least) = @_;
    my @found;
    for my $sampler (@$samplers) {
        for (1 .. $sampler->{trials}) {
            my $window = window($sampler, $aspect) // next;
            next if not suits($sampler, $window, $objects);
            my @seen = seen($window, $objects, $least);
            next if @$objects and not @seen;
            push @found, [$window, \@seen];
            last;
        }
    }
    return @found ? $found[rand @found] : ();
}

# A window around the whole picture, up to so many times as wide and as high.
sub border
{
    my $most = shift;
    my $scale = uniform(1, $most);
    my ($left, $top) = map { -uniform(0, $scale - 1) } 1, 2;
    return [$left, $top, $left + $scale, $top + $scale];
}

# The window that is seen through $inner where $outer has been looked through before.
sub through
{
    my ($outer, $inner) = @_;
    my ($width, $height) = ($outer->[2] - $outer->[0], $outer->[3] - $outer->[1]);
    return [
        $outer->[0] + $inner->[0] * $width,
        $outer->[1] + $inner->[1] * $height,
        $outer->[0] + $inner->[2] * $width,
        $outer->[1] + $inner->[3] * $height
    ];
}

1;
