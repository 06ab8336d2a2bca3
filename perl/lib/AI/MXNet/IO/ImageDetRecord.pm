package AI::MXNet::IO::ImageDetRecord;
use 5.014;
use strict;
use warnings;
use List::Util qw(max min);
use Mouse;
use AI::MXNet::IO::Boxes;
use AI::MXNet::IO::ImageRecord;
extends 'AI::MXNet::IO::ImageRecord';

# Pictures with boxes: a record's labels are the width of its header (at least 2), the width of an object (at least 5), the rest of
# the header, and the objects: class, left, top, right and bottom as parts of the picture, and whatever else.

has _samplers => (is => 'rw', init_arg => undef);

# Lowest and highest value of the pairs of options, and what they are by default.
my %range = (
    scales => [0, 1, 0, 1],
    aspect_ratios => [1e-6, 1e6, 1, 1],
    map { ($_ => [0, 1, 0, 1]) } qw(overlaps sample_coverages object_coverages),
);

after _open => sub {
    my ($self, $options) = @_;
    $self->_chance($_)
        for qw(rand_mirror_prob rand_crop_prob rand_pad_prob emit_overlap_thresh),
        map { "random_${_}_prob" } qw(hue saturation illumination contrast);
    $self->_one_of(crop_emit_mode => qw(center overlap));
    $self->_one_of(resize_mode => qw(force shrink fit));
    $self->_fail('max_pad_scale got ' . $self->_number(max_pad_scale => 1) . ', want at least 1')
        if $self->_number(max_pad_scale => 1) < 1;
    $self->_samplers([map { $self->_sampler($_) } 0 .. $self->_number(num_crop_sampler => 1) - 1]);
    my $widest = max map { scalar @{ $self->_label_of(($self->_read($_))[0]) } } 0 .. $self->_rows - 1;
    my $wanted = $self->_number(label_pad_width => 0);
    $self->_fail("label_pad_width got $wanted, but a record has $widest labels") if $wanted > 0 and $wanted < $widest;
    $self->_label_shape([4 + ($wanted > 0 ? $wanted : $widest)]);
};

# -- options

sub _chance
{
    my ($self, $name) = @_;
    my $chance = $self->_number($name => $name eq 'emit_overlap_thresh' ? 0.3 : 0);
    $self->_fail("$name got $chance, want 0 to 1") if $chance < 0 or $chance > 1;
    return $chance;
}

sub _one_of
{
    my ($self, $name, @values) = @_;
    my $got = $self->_options->{$name} // $values[0];
    $self->_fail("$name got $got, want " . join ' or ', @values) if not grep { $_ eq $got } @values;
    return $got;
}

# One number of a list that has one for each sampler, or one for all.
sub _nth
{
    my ($self, $name, $sampler, $default) = @_;
    my $given = $self->_options->{$name} // $default;
    my @numbers = ref $given eq 'ARRAY' ? @$given : $given =~ /(-?\d*\.?\d+(?:[eE][-+]?\d+)?)/g;
    my $count = $self->_number(num_crop_sampler => 1);
    $self->_fail("$name got " . @numbers . " numbers, want 1 or num_crop_sampler, $count")
        if @numbers != 1 and @numbers != $count;
    return $numbers[@numbers > 1 ? $sampler : 0];
}

sub _sampler
{
    my ($self, $i) = @_;
    my %sampler = (trials => $self->_nth(max_crop_trials => $i, 25));
    for my $what (keys %range) {
        my ($least, $most, @default) = @{ $range{$what} };
        my @pair = map { $self->_nth("$_->[0]_crop_$what", $i, $_->[1]) } ['min', $default[0]], ['max', $default[1]];
        $self->_fail("min_crop_$what and max_crop_$what got $pair[0] and $pair[1], want $least to $most, ascending")
            if $pair[0] > $pair[1]
            or $pair[0] < $least
            or $pair[1] > $most;
        $sampler{$what} = \@pair;
    }
    return \%sampler;
}

# -- what is done to each picture, and so to its boxes

sub _frame { my $self = shift; return ($self->SUPER::_frame, whole => 1, fill => $self->_number(fill_value => 127)) }

sub _chances
{
    my ($self, $files, $labels) = @_;
    return $self->_corners($files) if not $labels;
    my @chances = map { $self->_chance($_) } qw(rand_mirror_prob rand_pad_prob rand_crop_prob);
    my $aspects = $chances[1] || $chances[2] ? [map { $_->[1] / $_->[0] } $self->_sizes($files)] : [];
    my (@mirror, @windows);
    for my $i (0 .. $#$files) {
        my ($mirror, $border, $crop) = map { $_ > 0 && rand() < $_ } @chances;
        push @mirror, $mirror ? 1 : 0;
        my ($head, @objects) = $self->_objects($labels->[$i]);
        my $window = [0, 0, 1, 1];
        if ($border) {
            $window = AI::MXNet::IO::Boxes::border($self->_number(max_pad_scale => 1));
            @objects = AI::MXNet::IO::Boxes::seen($window, \@objects);
        }
        my $found = $crop ? $self->_crop($aspects->[$i], \@objects) : undef;
        if ($found) {
            $window = AI::MXNet::IO::Boxes::through($window, $found->[0]);
            @objects = @{ $found->[1] };
        }
        if ($mirror) {
            @$_[1, 3] = (1 - $_->[3], 1 - $_->[1]) for @objects;
        }
        $labels->[$i] = [@$head, map { @$_ } @objects];
        push @windows, @$window;
    }
    return (mirror => \@mirror, @$aspects ? (window => \@windows) : (), $self->_corners($files, \@windows));
}

# With another resize_mode than force pictures keep their ratio, and lie in the corner of a black frame: heights and widths there, of
# the pictures or of windows of them. `fit` makes them as large as they can be, `shrink` smaller only. In float32, as MXNet has it.
sub _corners
{
    my ($self, $files, $windows) = @_;
    my $mode = $self->_one_of(resize_mode => qw(force shrink fit));
    return if $mode eq 'force';
    my $single = sub { return unpack 'f', pack 'f', $_[0] };
    my (undef, @frame) = @{ $self->_data_shape };
    my @corners;
    my @sizes = $self->_sizes($files);
    for my $i (0 .. $#sizes) {
        my @size = AI::MXNet::IO::Crop::shortened(@{ $sizes[$i] }, $self->_number(resize => -1));
        if ($windows) {
            my ($left, $top, $right, $bottom) = @$windows[4 * $i .. 4 * $i + 3];
            @size = map { max(1, $_) } AI::MXNet::IO::Boxes::pixels($top, $bottom, $size[0]),
                AI::MXNet::IO::Boxes::pixels($left, $right, $size[1]);
        }
        my $ratio = min(map { $single->($frame[$_] / $size[$_]) } 0, 1);
        push @corners, $mode eq 'shrink' && $ratio >= 1
            ? @size
            : map { max(1, min($frame[$_], int $single->($ratio * $size[$_]))) } 0, 1;
    }
    return (sizes => \@corners);
}

# Colours change with chances of their own.
my %colour = (
    hue => 'hue',
    depth => 'saturation',
    lightness => 'illumination',
    gain => 'contrast',
);

sub _amounts
{
    my $self = shift;
    my ($amounts) = $self->SUPER::_amounts;
    $amounts->{offset} = 0;
    $amounts->{$_} = $self->_number("max_random_$colour{$_}" => 0) for keys %colour;
    return ($amounts, sub { return $colour{ $_[0] } ? $self->_chance("random_$colour{$_[0]}_prob") : 1 });
}

sub _crop
{
    my ($self, $aspect, $objects) = @_;
    my $least =
          $self->_one_of(crop_emit_mode => qw(center overlap)) eq 'overlap'
        ? $self->_chance('emit_overlap_thresh')
        : undef;
    return AI::MXNet::IO::Boxes::crop($self->_samplers, $aspect, $objects, $least);
}

# The header of labels, and the objects behind it.
sub _objects
{
    my ($self, $label) = @_;
    my ($header, $object) = @$label;
    $self->_fail('a record of ' . @$label . ' labels, want the widths of its header and of an object, and objects')
        if @$label < 2
        or $header < 2
        or $object < 5
        or @$label < $header
        or (@$label - $header) % $object;
    my @rest = @$label[$header .. $#$label];
    my @objects;
    push @objects, [splice @rest, 0, $object] while @rest;
    return ([@$label[0 .. $header - 1]], @objects);
}

# Beside its corner a picture stays black.
sub _coloured
{
    my ($self, $planes, $draws, $sizes) = @_;
    $planes = $self->SUPER::_coloured($planes, $draws);
    return $planes if not $sizes;
    my ($channels, @frame) = @{ $self->_data_shape };
    my $black = $self->SUPER::_coloured(AI::MXNet::NDArray->zeros([1, $channels, @frame]), {});
    my $corners = AI::MXNet::NDArray->array($sizes)->reshape([-1, 2, 1, 1]);
    my ($rows, $columns) = map { AI::MXNet::NDArray->arange(stop => $_) } @frame;
    my $inside =
        ($rows->reshape([1, 1, -1, 1]) < $corners->slice_axis(axis => 1, begin => 0, end => 1)) *
        ($columns->reshape([1, 1, 1, -1]) < $corners->slice_axis(axis => 1, begin => 1, end => 2));
    return $planes * $inside + $black * (1 - $inside);
}

# Channels, height and width that the picture has, number of labels, the labels, and label_pad_value.
sub _label_rows
{
    my ($self, $labels, $sizes) = @_;
    my ($width, $pad) = ($self->_label_shape->[0], $self->_number(label_pad_value => -1));
    my @rows;
    my ($channels, @frame) = @{ $self->_data_shape };
    for my $i (0 .. $#$labels) {
        my $label = $labels->[$i];
        my @row = ($channels, $sizes ? @$sizes[2 * $i, 2 * $i + 1] : @frame, scalar @$label, @$label);
        push @rows, [@row, ($pad) x ($width - @row)];
    }
    return @rows;
}

1;
