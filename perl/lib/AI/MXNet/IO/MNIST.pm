package AI::MXNet::IO::MNIST;
use 5.014;
use strict;
use warnings;
use Mouse;
use AI::MXNet::MXDataIter;
extends 'AI::MXNet::MXDataIter';

# The two files of MNIST: pictures and labels, each behind a header of big-endian numbers.

has [qw(_pictures _labels _rows _data_shape)] => (is => 'rw', init_arg => undef);

# The sizes and the bytes behind the header of such a file.
sub read_idx
{
    my ($who, $file, $magic, $axes) = @_;
    my $bytes = AI::MXNet::IO::Files::slurp($who, $file);
    my $header = 4 + 4 * $axes;
    my ($found, @sizes) = unpack 'N*', substr $bytes, 0, $header;
    AI::MXNet::Keshi::fail("$who: $file begins with " . ($found // 'nothing') . ", want $magic")
        if ($found // 0) != $magic;
    my $size = 1;
    $size *= $_ for @sizes;
    AI::MXNet::Keshi::fail("$who: $file holds " . (length($bytes) - $header) . " bytes behind its header, want $size")
        if @sizes != $axes
        or length $bytes < $header + $size;
    return (\@sizes, substr $bytes, $header, $size);
}

sub _open
{
    my ($self, $options) = @_;
    my $kind = $self->_kind;
    my ($sizes, $pixels) = read_idx($kind, $options->{image}, 2051, 3);
    my ($count, $labels) = read_idx($kind, $options->{label}, 2049, 1);
    my ($rows, $height, $width) = @$sizes;
    $self->_fail("$rows pictures and $count->[0] labels, want as many of each") if $rows != $count->[0];
    my ($first, $last) = AI::MXNet::IO::Files::part($rows, $options->{num_parts} // 1, $options->{part_index} // 0);
    $self->_rows($last - $first + 1);
    $self->_fail('a batch of ' . $self->batch_size . ' is wanted, and there are ' . $self->_rows . ' pictures')
        if $self->_rows < $self->batch_size;
    my $pictures = AI::MXNet::NDArray->from_bytes($pixels, [$rows, $height * $width], dtype => 'uint8');
    my $numbers = AI::MXNet::NDArray->from_bytes($labels, [$rows], dtype => 'uint8')->astype('float32');
    ($pictures, $numbers) = map { $_->slice([$first, $last]) } $pictures, $numbers if $self->_rows < $rows;

    if (AI::MXNet::IO::Files::truth($options->{shuffle} // 1)) {
        my $order = AI::MXNet::NDArray->array(AI::MXNet::IO::Files::order($self->_rows, $options->{seed} // 0),
            dtype => 'int32');
        ($pictures, $numbers) = map { AI::MXNet::NDArray->take($_, $order) } $pictures, $numbers;
    }
    $self->_pictures($pictures);
    $self->_labels($numbers);
    $self->_data_shape(AI::MXNet::IO::Files::truth($options->{flat}) ? [$height * $width] : [1, $height, $width]);
    return;
}

sub _drops { return 1 }

sub _fetch
{
    my ($self, $rows) = @_;
    my @span = ($rows->[0], $rows->[-1]);
    my $pictures = $self->_pictures->slice(\@span)->astype('float32');
    $pictures *= 1 / 256;
    return [$pictures->reshape([scalar @$rows, @{ $self->_data_shape }]), $self->_labels->slice(\@span)->copy];
}

1;
