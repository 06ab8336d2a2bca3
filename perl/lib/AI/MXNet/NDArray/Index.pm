package AI::MXNet::NDArray::Index;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed looks_like_number);

# One call for every way to name elements, with NumPy's rules. Specs are read into a plan; ranges become one slice, lists of
# indices one gather, and what changes the shape only is a view.

sub _fail { return AI::MXNet::Keshi::fail("index: $_[0]") }

sub _is_array { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray') }

# 'begin:end:step' of an axis: first index, count and step.
sub _range
{
    my ($spec, $axis, $size) = @_;
    my @part = split /:/, $spec, -1;
    _fail("axis $axis got '$spec', want begin:end or begin:end:step")
        if @part < 2
        or @part > 3
        or grep { !/^\s*(?:[+-]?\d+)?\s*$/ } @part;
    my ($begin, $end, $step) = map { defined && /\d/ ? 0 + $_ : undef } @part[0 .. 2];
    $step //= 1;
    _fail("axis $axis got a step of 0") if $step == 0;
    my ($low, $high) = $step > 0 ? (0, $size) : (-1, $size - 1);
    for my $at ($begin, $end) {
        next if not defined $at;
        $at += $size if $at < 0;
        $at = $low if $at < $low;
        $at = $high if $at > $high;
    }
    $begin //= $step > 0 ? $low : $high;
    $end //= $step > 0 ? $high : $low;
    my $span = $step > 0 ? $end - $begin : $begin - $end;
    my $count = $span > 0 ? int(($span + abs($step) - 1) / abs $step) : 0;
    return ($begin, $count, $step);
}

sub _checked
{
    my ($index, $axis, $size) = @_;
    _fail("axis $axis got " . ($index // 'undef') . ', want a whole number')
        if not looks_like_number($index)
        or $index != int $index;
    _fail("axis $axis is of size $size, got index $index") if $index >= $size or $index < -$size;
    return $index < 0 ? $index + $size : 0 + $index;
}

# Lists of indices for the axes that a mask covers.
sub _mask_lists
{
    my ($mask, $axis, $shape) = @_;
    $mask = AI::MXNet::NDArray->array($mask) if not _is_array($mask);
    my @dims = @{ $mask->shape };
    my @covered = @$shape[$axis .. ($axis + $#dims <= $#$shape ? $axis + $#dims : $#$shape)];
    _fail("a mask of shape (@dims) does not fit the axes from $axis on, of sizes (@covered)") if "@dims" ne "@covered";
    my @lists = map { [] } @dims;
    my $places = AI::MXNet::Keshi::places($mask);
    for my $flat ($places->size ? $places->aspdl->list : ()) {
        for my $i (reverse 0 .. $#dims) {
            unshift @{ $lists[$i] }, $flat % $dims[$i];
            $flat = int($flat / $dims[$i]);
        }
    }
    return map { [reverse @$_] } @lists;
}

sub _list
{
    my ($spec, $axis, $size) = @_;
    $spec = AI::MXNet::NDArray->array($spec, dtype => 'int64') if not _is_array($spec);
    my @checked = map { _checked($_, $axis, $size) } $spec->aspdl->list;
    _fail("axis $axis got an empty list") if not @checked;
    return AI::MXNet::NDArray->array(\@checked, dtype => 'int64')->reshape($spec->shape);
}

# Steps over the axes: [begin, count, step] for each, which axes go, where new ones come, and lists of indices.
sub _plan
{
    my ($shape, @specs) = @_;
    my @expanded;
    for my $spec (@specs) {
        push @expanded, ref $spec eq 'ARRAY'
            && @$spec == 2
            && !ref $spec->[0]
            && $spec->[0] eq 'mask' ? { mask => $spec->[1] } : $spec;
    }
    my $taken = 0;
    for my $spec (@expanded) {
        next if defined $spec and not ref $spec and ($spec eq '...' or $spec eq 'newaxis');
        $taken +=
            ref $spec eq 'HASH'
            ? (_is_array($spec->{mask}) ? $spec->{mask}->ndim : AI::MXNet::NDArray->array($spec->{mask})->ndim)
            : 1;
    }
    _fail("got $taken specs for " . @$shape . ' axes') if $taken > @$shape;
    push @expanded, '...' if not grep { defined and not ref and $_ eq '...' } @expanded;
    my %plan = (ranges => [], after => [], lists => []);
    for my $spec (@expanded) {
        my $axis = @{ $plan{ranges} };
        _fail("axis $axis got undef") if not defined $spec;
        if (ref $spec eq 'HASH') {
            for my $list (_mask_lists($spec->{mask}, $axis, $shape)) {
                my $at = @{ $plan{ranges} };
                push @{ $plan{lists} }, [scalar @{ $plan{after} }, _list($list, $at, $shape->[$at])];
                push @{ $plan{ranges} }, [0, $shape->[$at], 1];
                push @{ $plan{after} }, $shape->[$at];
            }
        } elsif (ref $spec) {
            push @{ $plan{lists} }, [scalar @{ $plan{after} }, _list($spec, $axis, $shape->[$axis])];
            push @{ $plan{ranges} }, [0, $shape->[$axis], 1];
            push @{ $plan{after} }, $shape->[$axis];
        } elsif ($spec eq 'newaxis') {
            push @{ $plan{after} }, 1;
        } elsif ($spec eq '...') {
            _fail('got ... twice') if $plan{dots}++;
            my $rest = @$shape - $taken;
            push @{ $plan{ranges} }, map { [0, $_, 1] } @$shape[$axis .. $axis + $rest - 1];
            push @{ $plan{after} }, @$shape[$axis .. $axis + $rest - 1];
        } elsif ($spec =~ /:/) {
            my ($begin, $count, $step) = _range($spec, $axis, $shape->[$axis]);
            _fail("axis $axis of size $shape->[$axis] has nothing in $spec") if not $count;
            push @{ $plan{ranges} }, [$begin, $count, $step];
            push @{ $plan{after} }, $count;
        } else {
            push @{ $plan{ranges} }, [_checked($spec, $axis, $shape->[$axis]), 1, 1];
        }
    }
    return \%plan;
}

# 'a:b, ..., -1' is the same as the specs one by one.
sub _specs
{
    return map {
        ref $_ || !defined $_ || !/,/ ? $_ : map { s/^\s+|\s+$//gr } split /,/, $_, -1
    } @_;
}

sub get
{
    my ($self, @specs) = @_;
    my @shape = @{ $self->shape };
    my $plan = _plan(\@shape, _specs(@specs));
    my $array = $self;
    my @ranges = @{ $plan->{ranges} };
    if (grep { $ranges[$_][1] != $shape[$_] or $ranges[$_][2] != 1 } 0 .. $#ranges) {
        my (@begin, @end, @step);
        for my $range (@ranges) {
            my ($begin, $count, $step) = @$range;
            my $end = $begin + $count * $step;
            push @begin, $begin;
            push @end, $end < 0 ? undef : $end;
            push @step, $step;
        }
        $array = AI::MXNet::NDArray->crop($array, { begin => \@begin, end => \@end, step => \@step });
    }
    my @after = @{ $plan->{after} } ? @{ $plan->{after} } : (1);
    $array = "@{ $array->shape }" eq "@after" ? $array : $array->reshape(\@after);
    $array = _gather($array, @{ $plan->{lists} }) if @{ $plan->{lists} };
    return $array->handle == $self->handle ? $self->copy : $array;
}

# Lists broadcast with each other; their axes come first, or where the lists stand when they stand together.
sub _gather
{
    my ($array, @lists) = @_;
    my @axes = map { $_->[0] } @lists;
    my @indices = _broadcast(map { $_->[1] } @lists);
    my $ndim = $array->ndim;
    my %listed = map { $_ => 1 } @axes;
    my @rest = grep { !$listed{$_} } 0 .. $ndim - 1;
    my $moved = $axes[-1] == $#axes ? $array : $array->transpose([@axes, @rest]);
    my $picked = AI::MXNet::NDArray->gather_nd($moved, AI::MXNet::NDArray->stack(@indices));
    my $together = $axes[-1] - $axes[0] == $#axes;
    return $picked if not $together or $axes[0] == 0;
    my $new = $indices[0]->ndim;
    my @order = map { $_ + $new } 0 .. $axes[0] - 1;
    return $picked->transpose([@order, 0 .. $new - 1, grep { $_ >= $new + $axes[0] } $new .. $new + $#rest]);
}

sub _broadcast
{
    my @arrays = @_;
    my $sum = $arrays[0];
    $sum = $sum + $_ for @arrays[1 .. $#arrays];
    my $shape = $sum->shape;
    return map { "@{ $_->shape }" eq "@$shape" ? $_ : $_->broadcast_to($shape) } @arrays;
}

# Writes; the elements are found by indexing their numbers.
sub put
{
    my ($self, $specs, $value) = @_;
    _fail("$self is not writable") if not $self->writable;
    _fail('index_put wants a list of specs and a value') if ref $specs ne 'ARRAY' or not defined $value;
    my $size = $self->size;
    my $places = AI::MXNet::NDArray->_arange({ start => 0, stop => $size, dtype => 'int64' });
    $places = get($places->reshape($self->shape), @$specs);
    my %like = (dtype => $self->dtype, ctx => $self->context);
    if (not ref $value) {
        $value = AI::MXNet::NDArray->full($places->shape, $value, %like);
    } else {
        $value = $value->sever if blessed($value) and $value->isa('AI::MXNet::NDArray::Slice');
        $value = AI::MXNet::NDArray->array($value, %like) if not _is_array($value) or $value->dtype ne $self->dtype;
        $value = $value->broadcast_to($places->shape) if "@{ $value->shape }" ne "@{ $places->shape }";
    }
    my $flat = $self->reshape([$size]);
    AI::MXNet::NDArray->_scatter_set_nd(
        $flat,
        $value->reshape([-1]),
        $places->reshape([1, -1]),
        { shape => [$size], out => $flat }
    );
    return $self;
}

1;
