package AI::MXNet::IO::Text;
use 5.014;
use strict;
use warnings;

# Files of text: comma-separated numbers, and lines of index:value.

package AI::MXNet::IO::CSV;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Base ();
use AI::MXNet::MXDataIter;
extends 'AI::MXNet::MXDataIter';
has [qw(_data _labels _rows _data_shape _label_shape _dtype)] => (is => 'rw', init_arg => undef);

sub _table
{
    my ($self, $file, $shape) = @_;
    my $text = AI::MXNet::IO::Files::bytes_array(AI::MXNet::IO::Files::slurp($self->_kind, $file));
    my $table = eval {
        AI::MXNet::NDArray->_parse_csv($text, { columns => AI::MXNet::Base::product(@$shape), dtype => $self->_dtype });
    } // $self->_fail("$file: " . ($@ =~ s/^_parse_csv: | at \S+ line \d+\.\n\z//gr));
    return $table;
}

sub _open
{
    my ($self, $options) = @_;
    $self->_dtype($options->{dtype} // 'float32');
    $self->_data_shape($self->_shape('data_shape'));
    $self->_label_shape($self->_shape('label_shape', [1]));
    my $data = $self->_table($options->{data_csv}, $self->_data_shape);
    $self->_rows($data->shape->[0]);
    my $width = AI::MXNet::Base::product(@{ $self->_label_shape });
    my $labels =
        defined $options->{label_csv}
        ? $self->_table($options->{label_csv}, $self->_label_shape)
        : AI::MXNet::NDArray->zeros([$self->_rows, $width], dtype => $self->_dtype);
    $self->_fail('got ' . $self->_rows . ' rows of data and ' . $labels->shape->[0] . ' of labels')
        if $labels->shape->[0] != $self->_rows;
    $self->_data($data->reshape([$self->_rows, @{ $self->_data_shape }]));
    $self->_labels($labels->reshape([$self->_rows, $width == 1 ? () : @{ $self->_label_shape }]));
    return;
}

sub _fetch
{
    my ($self, $rows) = @_;
    return [map { $self->_take($_, $rows) } $self->_data, $self->_labels];
}

package AI::MXNet::IO::LibSVM;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::MXDataIter;
extends 'AI::MXNet::MXDataIter';
has [qw(_data _labels _rows _data_shape _label_shape)] => (is => 'rw', init_arg => undef);

# The first numbers of the lines, and the matrix behind them: where its rows begin, indices, values, columns.
sub _matrix
{
    my ($self, $file, $shape) = @_;
    $self->_fail("a shape of @$shape, want one number of columns") if @$shape != 1;
    my $text = AI::MXNet::IO::Files::slurp($self->_kind, $file);
    $text =~ s/\s*#.*//g;
    my $rows = () = $text =~ /^\s*\S/mg;
    my $parsed = eval {
        AI::MXNet::NDArray->_parse_libsvm(AI::MXNet::IO::Files::bytes_array($text),
            { rows => $rows, entries => $text =~ tr/:// + 0, columns => $shape->[0] });
    } // $self->_fail("$file: " . ($@ =~ s/^_parse_libsvm: | at \S+ line \d+\.\n\z//gr));
    my ($labels, $begins, $indices, $values) = @$parsed;
    return ($labels,
        { begins => [$begins->aspdl->list], indices => $indices, values => $values, columns => $shape->[0] });
}

sub _open
{
    my ($self, $options) = @_;
    $self->_data_shape($self->_shape('data_shape'));
    my ($labels, $data) = $self->_matrix($options->{data_libsvm}, $self->_data_shape);
    $self->_data($data);
    $self->_rows($#{ $data->{begins} });
    $self->_label_shape([1]);
    if (defined $options->{label_libsvm}) {
        $self->_label_shape($self->_shape('label_shape'));
        (undef, $labels) = $self->_matrix($options->{label_libsvm}, $self->_label_shape);
        $self->_fail('got ' . $self->_rows . " rows of data and $#{ $labels->{begins} } of labels")
            if $#{ $labels->{begins} } != $self->_rows;
    }
    $self->_labels($labels);
    return;
}

# Some rows of such a matrix, as a csr array.
sub _csr
{
    my ($self, $matrix, $rows) = @_;
    my ($begins, @ends, @pieces) = ($matrix->{begins}, 0);
    for my $row (@$rows) {
        my ($from, $to) = @{$begins}[$row, $row + 1];
        push @ends, $ends[-1] + $to - $from;
        next if $from == $to;
        if (@pieces and $pieces[-1][1] == $from) { $pieces[-1][1] = $to }
        else { push @pieces, [$from, $to] }
    }
    push @ends, ($ends[-1]) x ($self->batch_size - @$rows);
    my ($values, $indices) = map {
        my $whole = $_;
        my @parts = map { $whole->slice([$_->[0], $_->[1] - 1]) } @pieces;
              @parts > 1 ? AI::MXNet::NDArray->concatenate(\@parts)
            : @parts ? $parts[0]->copy
            : AI::MXNet::NDArray->array([], dtype => $whole->dtype)
    } @{$matrix}{qw(values indices)};
    return AI::MXNet::NDArray::Sparse->csr_matrix(
        [$values, $indices, AI::MXNet::NDArray->array(\@ends, dtype => 'int64')],
        shape => [$self->batch_size, $matrix->{columns}]);
}

sub _fetch
{
    my ($self, $rows) = @_;
    my $labels = $self->_labels;
    return [
        $self->_csr($self->_data, $rows),
        ref $labels eq 'HASH' ? $self->_csr($labels, $rows) : $self->_take($labels, $rows)
    ];
}

1;
