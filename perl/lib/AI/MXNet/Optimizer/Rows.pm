package AI::MXNet::Optimizer::Rows;
use 5.014;
use strict;
use warnings;

# Updates where the gradient or the weight is row_sparse. A lazy update looks at the rows of the gradient only: the weight and the
# states of all others stay as they are, decay and momentum included.

sub run
{
    my ($operator, $lazy, $weight, $grad, $states, $with) = @_;
    my @arrays = ($weight, @$states);
    my @dense = map { $_->stype eq 'default' ? $_ : $_->tostype('default') } @arrays;
    if ($lazy and $grad->stype eq 'row_sparse') {
        _update_rows($operator, \@dense, $grad, $with);
    } else {
        my $whole = $grad->stype eq 'default' ? $grad : $grad->tostype('default');
        _update($operator, \@dense, $whole, $with);
    }
    for my $i (grep { $arrays[$_]->stype ne 'default' } 0 .. $#arrays) {
        $dense[$i]->copyto($arrays[$i]);
    }
    return;
}

sub _update
{
    my ($operator, $arrays, $grad, $with) = @_;
    my ($weight, @states) = @$arrays;
    AI::MXNet::NDArray->$operator($weight, $grad, @states, { %$with, out => $weight });
    return;
}

sub _update_rows
{
    my ($operator, $arrays, $grad, $with) = @_;
    my $rows = $grad->indices;
    return if not $rows->size;
    my @parts = map { AI::MXNet::NDArray->take($_, $rows) } @$arrays;
    _update($operator, \@parts, $grad->data, $with);
    my $places = $rows->reshape([1, -1]);
    for my $i (0 .. $#parts) {
        AI::MXNet::NDArray->_scatter_set_nd(
            $arrays->[$i],
            $parts[$i],
            $places,
            {
                shape => $arrays->[$i]->shape,
                out => $arrays->[$i]
            }
        );
    }
    return;
}

1;
