package AI::MXNet::NDArray::File;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);

# A file of one array is a list: 24 bytes of head, the record, 8 bytes that say that there are no names.
my $HEAD = pack 'Q<3', 0x112, 0, 1;
my $TAIL = pack 'Q<', 0;

# What is in a list or a hash of arrays: parts, and names or undef. A sparse array is a list of its parts.
sub _parts
{
    my ($who, $arrays) = @_;
    AI::MXNet::Keshi::fail("$who: got " . ($arrays // 'undef') . ', want a list or a hash of arrays')
        if blessed($arrays)
        or ref($arrays) !~ /^(?:ARRAY|HASH)$/;
    my @names = ref $arrays eq 'HASH' ? keys %$arrays : ();
    my @arrays = ref $arrays eq 'HASH' ? @$arrays{@names} : @$arrays;
    my @parts = map { blessed($_) && $_->can('parts') ? $_->parts : $_ } @arrays;
    return (\@parts, @names ? \@names : undef);
}

sub _array
{
    my $part = shift;
    return ref $part eq 'ARRAY' ? AI::MXNet::NDArray::Sparse->from_parts(@$part) : $part;
}

sub _write
{
    my ($file, $bytes) = @_;
    open my $out, '>:raw', $file or AI::MXNet::Keshi::fail("save: cannot write $file: $!");
    print {$out} $bytes or AI::MXNet::Keshi::fail("save: cannot write $file: $!");
    close $out or AI::MXNet::Keshi::fail("save: cannot write $file: $!");
    return;
}

sub encode
{
    my $arrays = shift;
    return AI::MXNet::Keshi::save_parts('params', _parts('save', $arrays));
}

sub save
{
    my ($file, $arrays) = @_;
    my ($parts, $names) = _parts('save', $arrays);
    AI::MXNet::Keshi::save_file($file, $parts, $names)
        or _write($file, AI::MXNet::Keshi::save_parts('params', $parts, $names));
    return;
}

# The formats of others: npy, npz, safetensors.
sub save_as
{
    my ($file, $format, $arrays) = @_;
    my @given = $format eq 'npy' ? ([$arrays], undef) : _parts("save_$format", $arrays);
    _write($file, AI::MXNet::Keshi::save_parts($format, @given));
    return;
}

sub _loaded
{
    my ($parts, $names) = @_;
    my @arrays = map { _array($_) } @$parts;
    return \@arrays if not $names;
    my %named;
    @named{@$names} = @arrays;
    return \%named;
}

sub decode { return _loaded(AI::MXNet::Keshi::load_parts(undef, $_[0])) }
sub load { return _loaded(AI::MXNet::Keshi::load_parts($_[0])) }

# One array as a record, without a list around it.
sub encode_one
{
    my $bytes = encode([$_[0]]);
    return substr $bytes, length $HEAD, -length $TAIL;
}

sub decode_one { return decode("$HEAD$_[0]$TAIL")->[0] }

1;

__END__

=head1 NAME

AI::MXNet::NDArray::File - files of arrays

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use File::Temp qw(tempdir);
    my $dir = tempdir(CLEANUP => 1);
    my %net = (weight => nd->ones([2, 3]), bias => nd->zeros([2]));
    nd->save("$dir/net.params", \%net);
    nd->save_safetensors("$dir/net.safetensors", \%net);
    nd->save_npz("$dir/net.npz", \%net);
    nd->save_npy("$dir/weight.npy", $net{weight});
    for my $file (qw(net.params net.safetensors net.npz)) {
        my $back = nd->load("$dir/$file");
        print "$file: $_ $back->{$_}\n" for sort keys %$back;
    }
    my ($weight) = @{ nd->load("$dir/weight.npy") };

=head1 DESCRIPTION

What stands behind C<save>, C<load> and C<load_frombuffer> of L<AI::MXNet::NDArray>, and behind Storable's C<freeze> and
C<dclone> of arrays.

C<load> reads every format below, and tells them apart by their first bytes; it gives a hash where there are names, else a list.
Whatever context an array had, it is read onto C<cpu(0)>.

=over 4

=item save($file, \@arrays), save($file, \%arrays)

MXNet's own format, as MXNet 1.x writes it; files of all its versions are read. Sparse arrays stay sparse.

=item save_npz($file, \%arrays), save_npy($file, $array)

NumPy's; archives are written without compression, and read with it too. NumPy has no C<bfloat16>.

=item save_safetensors($file, \%arrays)

The format that most others exchange weights in.

=back

=head1 DIAGNOSTICS

A file that is damaged or is something else dies with what is wrong and where: C<Invalid NDArray file format> and the reason. No
length in a file is believed before it is checked.

=cut
