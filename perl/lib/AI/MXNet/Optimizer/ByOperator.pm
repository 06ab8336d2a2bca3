package AI::MXNet::Optimizer::ByOperator;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NDArray;
use Mouse;
extends 'AI::MXNet::Optimizer';

# Optimizers whose step is one call of an update operator. What differs between two weights is apart from what does not, so that
# the calls for many weights are made at once, below Perl.

# Pairs that are the same for all weights, and those of one index, whose update is counted.
sub _constants
{
    my $self = shift;
    return (
        rescale_grad => $self->{rescale_grad},
        $self->{clip_gradient} ? (clip_gradient => $self->{clip_gradient}) : (),
    );
}

sub _numbers
{
    my ($self, $index) = @_;
    $self->_update_count($index) if $self->_counts_first;
    my @numbers = (lr => $self->_get_lr($index), wd => $self->_get_wd($index));
    $self->_update_count($index) if not $self->_counts_first;
    return @numbers;
}

# Those of many indices, as a list of lists. Without a scheduler no rate depends on the counts of others.
my @usual = map { [$_ => __PACKAGE__->can($_)] } qw(_numbers _get_lr _get_wd _update_count);

sub _has_usual_numbers
{
    my $self = shift;
    return !(defined $self->{lr_scheduler} or grep { $self->can($_->[0]) != $_->[1] } @usual);
}

sub _all_numbers
{
    my ($self, $indices) = @_;
    return map { [$self->_numbers($_)] } @$indices
        if not $self->_has_usual_numbers;
    my ($lr, $wd, $first, $last) = @$self{qw(lr wd begin_num_update num_update)};
    my ($counts, $params) = @$self{qw(_index_update_count param_dict)};
    my @numbers;
    for my $index (@$indices) {
        my $count = ++($counts->{$index} //= $first);
        $last = $count if $count > $last;
        my $param = $params->{$index};
        my ($of_lr, $of_wd) =
            ref $param
            ? ($param->lr_mult, $param->wd_mult)
            : ($self->_multiplier($index, 'lr_mult'), $self->_multiplier($index, 'wd_mult'));
        push @numbers, [lr => $lr * $of_lr, wd => $wd * $of_wd];
    }
    $self->{num_update} = $last;
    return @numbers;
}

# Whether the rate is that of the count with this update.
sub _counts_first { return 0 }

# Whether the update of rows only is lazy.
sub _is_lazy { return 0 }

# Whether float16 weights with a float32 copy are the class's own affair.
sub _keeps_master { return 0 }

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my ($operator, @states) = $self->_operator($state);
    my %with = ($self->_constants, $self->_numbers($index), $self->_constants_of($operator));
    return AI::MXNet::Optimizer::_run($operator, $self->_is_lazy($weight, @states), $weight, $grad, \@states, \%with);
}

# Constants that only one of the class's operators has.
sub _constants_of { return }

# Whether it was one call for all of them, with a state each or none.
sub _update_alike
{
    my ($self, $indices, $weights, $grads, $states) = @_;
    return 0 if not @$indices or ref $states->[0] eq 'ARRAY' or not $self->_has_usual_numbers;
    my ($operator, @states) = $self->_operator($states->[0]);
    return 0 if @states != (defined $states->[0] ? 1 : 0);
    return AI::MXNet::Keshi::update_alike($operator, { $self->_constants, $self->_constants_of($operator) },
        $self, $indices, $weights, $grads, $states);
}

sub update_all
{
    my ($self, $indices, $weights, $grads, $states) = @_;
    return $self->SUPER::update_all($indices, $weights, $grads, $states)
        if $self->can('update') != \&update
        or $self->{multi_precision} and not $self->_keeps_master;
    return if $self->_update_alike($indices, $weights, $grads, $states);
    my %calls;
    my @numbers = (grep { ref ne 'AI::MXNet::NDArray' } @$weights, @$grads) ? () : $self->_all_numbers($indices);
    for my $i (0 .. $#$indices) {
        if (not @numbers and ref $weights->[$i] ne 'AI::MXNet::NDArray' || ref $grads->[$i] ne 'AI::MXNet::NDArray') {
            $self->update($indices->[$i], $weights->[$i], $grads->[$i], $states->[$i]);
            next;
        }
        my ($operator, @states) = $self->_operator($states->[$i]);
        push @{ $calls{$operator} }, [$weights->[$i], $grads->[$i], @states],
            $numbers[$i] // [$self->_numbers($indices->[$i])];
    }
    for my $operator (sort keys %calls) {
        AI::MXNet::Keshi::update_each($operator, { $self->_constants, $self->_constants_of($operator) },
            $calls{$operator});
    }
    return;
}

no Mouse;

1;
