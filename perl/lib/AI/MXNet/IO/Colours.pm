package AI::MXNet::IO::Colours;
use 5.014;
use strict;
use warnings;
use List::Util qw(shuffle);
use AI::MXNet::Image;

# Other colours for a batch of pictures: planes of values from 0 to 255 (picture, channel, row, column), and what is drawn for each picture.

my @LUMA = (0.299, 0.587, 0.114);

# Two numbers of a normal distribution, by Box and Muller, and so as many as wanted.
sub normal
{
    my $count = shift;
    return map { sqrt(-2 * log(1 - rand)) * cos(6.283185307179586 * rand) } 1 .. $count;
}

# For each of $count pictures what is done to it, by the greatest amounts: brightness, contrast and saturation are parts of what is
# there; hue (half degrees), depth and lightness (255 is all) are added; light is the deviation along the principal axes of colours;
# gain a part, offset added. $chance gives the chance of an amount by its name. Nothing where all amounts are 0.
sub drawn
{
    my ($count, $amount, $chance) = @_;
    my @names = grep { $amount->{$_} > 0 } qw(brightness contrast saturation hue depth lightness light gain offset)
        or return;
    my %draws = (order => [shuffle grep { /^(?:brightness|contrast|saturation)$/ } @names]);
    for my $name (@names) {
        if ($name eq 'light') {
            push @{ $draws{light} }, AI::MXNet::Image::_light(map { $amount->{light} * $_ } normal(3)) for 1 .. $count;
            next;
        }
        my $base = $name =~ /^(?:brightness|contrast|saturation|gain)$/ ? 1 : 0;
        $draws{$name} =
            [map { rand() < $chance->($name) ? $base + (2 * rand() - 1) * $amount->{$name} : $base } 1 .. $count];
    }
    return \%draws;
}

# A number for each picture, as a factor of its planes.
sub _column { return AI::MXNet::NDArray->array($_[0])->reshape([scalar @{ $_[0] }, 1, 1, 1]) }

sub _channel { my ($planes, $c) = @_; return $planes->slice_axis(axis => 1, begin => $c, end => $c + 1) }

sub _grey
{
    my $planes = shift;
    return $planes if $planes->shape->[1] == 1;
    return ($planes * AI::MXNet::NDArray->array(\@LUMA)->reshape([1, 3, 1, 1]))->sum(axis => 1, keepdims => 1);
}

# The planes with other colours, from 0 to 255; all but gain and offset, which come after the mean has been subtracted.
sub changed
{
    my ($planes, $draws) = @_;
    for my $name (@{ $draws->{order} }) {
        my $part = _column($draws->{$name});
        if ($name eq 'brightness') { $planes = $planes * $part; next }
        my $grey = _grey($planes);
        $grey = $grey->mean({ axis => [1, 2, 3], keepdims => 1 }) if $name eq 'contrast';
        $planes = $planes * $part + $grey * (1 - $part);
    }
    my $is_coloured = $planes->shape->[1] == 3;
    $planes = _shifted($planes, $draws) if $is_coloured and grep { $draws->{$_} } qw(hue depth lightness);
    $planes = $planes + AI::MXNet::NDArray->array($draws->{light})->reshape([-1, 3, 1, 1])
        if $is_coloured
        and $draws->{light};
    return $planes->clip(0, 255);
}

# By hue, saturation and lightness.
sub _shifted
{
    my ($planes, $draws) = @_;
    my $nd = 'AI::MXNet::NDArray';
    my $added = sub { my $name = shift; return $draws->{$name} ? _column($draws->{$name}) : 0 };
    $planes = $planes->clip(0, 255);
    my @channels = map { _channel($planes, $_) } 0 .. 2;
    my ($most, $least) = map { my $of = $_; $planes->$of(axis => 1, keepdims => 1) } qw(max min);
    my $range = $most - $least;
    my $safe = $range + ($range == 0);
    my ($r, $g, $b) = map { $_ / $safe } @channels;
    my $is_red = $channels[0] == $most;
    my $is_green = ($channels[1] == $most) * (1 - $is_red);
    my $sixths =
        $is_red * ($g - $b) +
        $is_green * ($b - $r + 2) +
        (1 - $is_red - $is_green) * ($r - $g + 4) +
        $added->('hue') * (2 / 60);
    my $lightness = ($most + $least) * 0.5;
    my $depth = $range / ((255 - $nd->abs($most + $least - 255)) + ($range == 0)) + $added->('depth') * (1 / 255);
    $lightness = ($lightness + $added->('lightness'))->clip(0, 255);
    my $reach = $depth->clip(0, 1) * ($lightness->minimum(255 - $lightness));
    return $nd->concat(
        (
            map {
                my $k = ($sixths * 2 + $_) % 12;
                $lightness - $reach * ($k - 3)->minimum(9 - $k)->clip(-1, 1)
            } 0,
            8,
            4
        ),
        dim => 1
    );
}

1;
