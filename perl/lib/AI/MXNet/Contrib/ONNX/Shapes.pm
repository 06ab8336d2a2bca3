package AI::MXNet::Contrib::ONNX::Shapes;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Symbol;
use List::Util ();

# Nodes that choose, cut, join and stretch: each gets the importer and a node, and returns the symbol of its output.

sub _fail { return AI::MXNet::Keshi::fail(@_) }
sub _sym { return 'AI::MXNet::Symbol' }

sub bounds
{
    my ($self, $n) = @_;
    my ($low) = $n->{a}{min} // $self->numbers($n, 1);
    my ($high) = $n->{a}{max} // $self->numbers($n, 2);
    return _sym->clip($n->{in}[0], a_min => $low // -3.4e38, a_max => $high // 3.4e38, name => $n->{name});
}

sub sliced
{
    my ($self, $n) = @_;
    my @starts = $self->list_of($n, starts => 1);
    my @ends = $self->list_of($n, ends => 2);
    my @axes = $self->list_of($n, axes => 3);
    my @steps = $self->numbers($n, 4);
    @axes = 0 .. $#starts if not @axes;
    my $y = $n->{in}[0];
    for my $i (0 .. $#axes) {
        my $end = abs($ends[$i]) >= 2**31 - 1 ? undef : $ends[$i];
        my $step = $steps[$i] // 1;
        if ($step == 1) {
            $y = _sym->slice_axis($y, axis => $axes[$i], begin => $starts[$i], end => $end);
            next;
        }
        my $before = $axes[$i];
        if ($before < 0) {
            my ($shape) = $self->shapes($n->{names}[0]);
            _fail("import_model: Slice $n->{name} is on axis $before of a value whose shape the file does not tell")
                if not $shape;
            $before += @$shape;
        }
        my @all = (undef) x $before;
        my $start = abs($starts[$i]) >= 2**31 - 1 ? undef : $starts[$i];
        $y = _sym->slice($y, begin => [@all, $start], end => [@all, $end], step => [@all, $step]);
    }
    return $y;
}

sub split
{
    my ($self, $n) = @_;
    my @sizes = $self->list_of($n, split => 1);
    if (grep { $_ != $sizes[0] } @sizes) {
        my $end = 0;
        return map {
            my $begin = $end;
            $end += $_;
            _sym->slice_axis($n->{in}[0], axis => $n->{a}{axis} // 0, begin => $begin, end => $end)
        } @sizes;
    }
    return _sym->SliceChannel(
        $n->{in}[0],
        num_outputs => scalar @{ $n->{outputs} },
        axis => $n->{a}{axis} // 0,
        name => $n->{name}
    );
}

sub padded
{
    my ($self, $n) = @_;
    my @pads = $self->list_of($n, pads => 1);
    my ($value) = $n->{a}{value} // $self->numbers($n, 2);
    my $half = @pads / 2;
    my @width = map { @pads[$_, $_ + $half] } 0 .. $half - 1;
    my $mode = $n->{a}{mode} // 'constant';
    return _sym->Pad(
        $n->{in}[0],
        pad_width => \@width,
        mode => $mode,
        constant_value => $value // 0,
        name => $n->{name}
    );
}

# Sizes of the input that stay stand as 0, and one that depends on open sizes as -1.
sub reshaped
{
    my ($self, $n) = @_;
    my ($first, $second) = $n->{a}{shape} ? ($n->{a}{shape}) x 2 : $self->sizes($n, 1);
    my @shape = @$first;
    my @open = grep { $first->[$_] != $second->[$_] } 0 .. $#shape;
    if (@open) {
        my @from = $self->shapes($n->{names}[0]);
        my $stays = sub {
            my $i = shift;
            return @from && $i < @{ $from[0] } && $from[0][$i] == $first->[$i] && $from[1][$i] == $second->[$i];
        };
        $shape[$_] = $stays->($_) ? 0 : -1 for @open;
        _fail(
"import_model: Reshape $n->{name} to sizes that depend on the inputs' is not supported, want one that is new"
        ) if 1 < grep { $_ == -1 } @shape;
    }
    return _sym->Reshape($n->{in}[0], shape => \@shape, name => $n->{name});
}

sub expanded
{
    my ($self, $n) = @_;
    my ($y, @sizes) = ($n->{in}[0], $self->sizes($n, 1));
    my @shapes = $self->shapes($n->{names}[0]);
    _fail("import_model: Expand $n->{name} is of a value whose shape the file does not tell") if not @shapes;
    my $more = @{ $sizes[0] } - @{ $shapes[0] };
    for (1 .. $more) {
        $y = _sym->expand_dims($y, axis => 0);
        unshift @$_, 1 for @shapes;
    }
    unshift @$_, (1) x List::Util::max(0, -$more) for @sizes;
    for my $axis (grep { $shapes[0][$_] == 1 && $sizes[0][$_] != 1 } 0 .. $#{ $shapes[0] }) {
        $y = $self->stretch($y, $axis, map { $_->[$axis] } @sizes);
    }
    return $y;
}

# Of matrices by the last two axes; the others are broadcast.
sub product
{
    my ($self, $n) = @_;
    my @sides = map {
        +{ y => $n->{in}[$_], shapes => [map { [@$_] } $self->shapes($n->{names}[$_])] }
    } 0, 1;
    my ($left, $right) = map { $_->{shapes}[0] } @sides;
    return _sym->dot(@{ $n->{in} }, name => $n->{name}) if not $right or @$right <= 2;
    my @told = map { $_ ? '[' . join(' ', @$_) . ']' : 'a shape that the file does not tell' } $left, $right;
    my $fail = sub { _fail("import_model: MatMul $n->{name} of shapes $told[0] and $told[1] is not supported") };
    $fail->() if not $left or @$left < 2;
    my $rank = List::Util::max(scalar @$left, scalar @$right);

    for my $side (@sides) {
        for (@{ $side->{shapes}[0] } + 1 .. $rank) {
            $side->{y} = _sym->expand_dims($side->{y}, axis => 0);
            unshift @$_, 1 for @{ $side->{shapes} };
        }
    }
    for my $axis (0 .. $rank - 3) {
        my @sizes = map {
            my $side = $_;
            [map { $_->[$axis] } @{ $side->{shapes} }]
        } @sides;
        next if "@{ $sizes[0] }" eq "@{ $sizes[1] }";
        my ($short) = grep { "@{ $sizes[$_] }" eq '1 1' } 0, 1;
        $fail->() if not defined $short;
        $sides[$short]{y} = $self->stretch($sides[$short]{y}, $axis, @{ $sizes[1 - $short] });
    }
    my @factors = map { $_->{y} } @sides;
    return _sym->batch_dot(@factors, name => $n->{name}) if $rank == 3;
    return _sym->linalg->gemm2(@factors, name => $n->{name});
}

# All three are broadcast, by adding zeros of the largest shape.
sub chosen
{
    my ($self, $n) = @_;
    my ($condition, @sides) = @{ $n->{in} };
    my @shapes = map { my ($shape) = $self->shapes($_); $shape ? "@$shape" : '' } @{ $n->{names} };
    if (!length $shapes[0] or grep { $_ ne $shapes[0] } @shapes) {
        $condition = _sym->Cast($condition, dtype => 'float32');
        my $zeros = _sym->zeros_like($condition);
        $zeros = _sym->broadcast_add($zeros, _sym->zeros_like($_)) for @sides;
        ($condition, @sides) = map { _sym->broadcast_add($zeros, $_) } $condition, @sides;
    }
    return _sym->where($condition, @sides, name => $n->{name});
}

1;
