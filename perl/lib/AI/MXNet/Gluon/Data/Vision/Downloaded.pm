package AI::MXNet::Gluon::Data::Vision::Downloaded;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Gluon::Data::Set;
use AI::MXNet::Gluon::Utils;
use AI::MXNet::IO::MNIST;
use AI::MXNet::Logging;
use Mouse;
extends 'AI::MXNet::Gluon::Data::Set';

# Pictures and labels from files that are published: MNIST and its likes, CIFAR.

has root => (is => 'rw', isa => 'Str', lazy => 1, builder => '_default_root');
has train => (is => 'ro', isa => 'Bool', default => 1);
has transform_fn => (is => 'ro', isa => 'Maybe[CodeRef|Object]', init_arg => 'transform');
has data => (is => 'rw', init_arg => undef);
has label => (is => 'rw', init_arg => undef);
sub python_constructor_arguments { return [qw(root train transform)] }
sub _default_root { return '~/.mxnet/datasets/' . $_[0]->_folder }

my $REPOSITORY = 'https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/';

sub BUILD
{
    my $self = shift;
    $self->root($self->root =~ s/^~(?=\/|\z)/$ENV{HOME} \/\/ '~'/er);
    $self->_read;
    return;
}

sub len { return $_[0]->data->len }

sub at
{
    my ($self, $i) = @_;
    my @item = ($self->data->at($i), $self->label->at($i));
    @item = $self->transform_fn->(@item) if $self->transform_fn;
    return \@item;
}

# Without a transform a loader may have many at once.
sub can    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($self, $method) = @_;
    return if ref $self and $method eq 'batch' and $self->transform_fn;
    return $self->SUPER::can($method);
}

sub batch
{
    my ($self, $indices) = @_;
    return [AI::MXNet::Gluon::Data::rows($self->data, $indices),
        AI::MXNet::Gluon::Data::labels($self->label, $indices)];
}

# The path of a file that is there, fetched if need be. The same content may go by other names, each with its own checksum, if that is
# known.
sub _file
{
    my ($self, $sha1, $name, %others) = @_;
    my $root = $self->root;
    my %sha1_of = ($name => $sha1, %others);
    my ($found) = grep { -e "$root/$_" } $name, sort keys %others;
    if (defined $found) {
        AI::MXNet::Logging->warning('%s: %s is not the published file; it is used all the same',
            ref $self, "$root/$found")
            if $sha1_of{$found}
            and not AI::MXNet::Gluon::Utils->check_sha1("$root/$found", $sha1_of{$found})
            and not $self->{_warned}++;
        return "$root/$found";
    }
    my $url = ($ENV{MXNET_GLUON_REPO} // $REPOSITORY) =~ s{/*\z}{/}r . 'gluon/dataset/' . $self->_folder . "/$name";
    return
        eval { AI::MXNet::Gluon::Utils->download($url, path => "$root/$name", sha1_hash => $sha1); }
        // AI::MXNet::Keshi::fail(
              ref($self)
            . ": there is no $root/$name, and it cannot be fetched from $url. "
            . "Put the file into $root, or name the folder that has it: root => '...'");
}

package AI::MXNet::Gluon::Data::Vision::MNIST;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Vision::Downloaded';
sub _folder { return 'mnist' }

# Checksums as they are published and of what is unpacked: pictures and labels, to train and to test.
sub _packed
{
    return qw(6c95f4b05d2bf285e1bfb0e7960c31bd3b3f8a7d 2a80914081dc54586dbdf242f9805a6b8d2a15fc
        c3a25af1f52dad7f726cce8cacb138654b760d48 763e7fa3757d93b0cdec073cef058b2004252c17);
}

sub _unpacked
{
    return qw(c3557c10f29b266e19b3eeee1553c85e0ef4a8ea adbf52269f5d842899f287c269e2883e40b4f6e2
        65e11ec1fd220343092a5070b58418b5c2644e26 a6d52cc628797e845885543326e9f10abb8a6f89);
}

sub _read
{
    my $self = shift;
    my @names = qw(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte);
    my ($packed, $unpacked) = ([$self->_packed], [$self->_unpacked]);
    my ($pictures, $labels) = map { $self->_file($packed->[$_], "$names[$_].gz", $names[$_] => $unpacked->[$_]) }
        $self->train ? (0, 1) : (2, 3);
    my ($sizes, $pixels) = AI::MXNet::IO::MNIST::read_idx(ref $self, $pictures, 2051, 3);
    my (undef, $numbers) = AI::MXNet::IO::MNIST::read_idx(ref $self, $labels, 2049, 1);
    AI::MXNet::Keshi::fail(
        ref($self) . ": $pictures has $sizes->[0] pictures, $labels has " . length($numbers) . ' labels')
        if $sizes->[0] != length $numbers;
    $self->data(AI::MXNet::NDArray->from_bytes($pixels, [@$sizes, 1], dtype => 'uint8'));
    $self->label(PDL->pdl(PDL::long(), [unpack 'C*', $numbers]));
    return;
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision');

package AI::MXNet::Gluon::Data::Vision::FashionMNIST;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Vision::MNIST';
sub _folder { return 'fashion-mnist' }

sub _packed
{
    return qw(0cf37b0d40ed5169c6b3aba31069a9770ac9043d 236021d52f1e40852b06a4c3008d8de8aef1e40b
        626ed6a7c06dd17c0eec72fa3be1740f146a2863 17f9ab60e7257a1620f4ad76bbbaf857c3920701);
}
sub _unpacked { return }                                 # they are not published
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision');

package AI::MXNet::Gluon::Data::Vision::CIFAR10;         ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
extends 'AI::MXNet::Gluon::Data::Vision::Downloaded';
sub _folder { return 'cifar10' }
sub _archive { return ('cifar-10-binary.tar.gz', 'fab780a1e191a7eda0f345501ccd62d20f7ed891') }

sub _published
{
    my $self = shift;
    return ['test_batch.bin', '67eb016db431130d61cd03c7ad570b013799c88c'] if not $self->train;
    return (
        ['data_batch_1.bin', 'aadd24acce27caa71bf4b10992e9e7b2d74c2540'],
        ['data_batch_2.bin', 'c0ba65cce70568cd57b4e03e9ac8d2a5367c1795'],
        ['data_batch_3.bin', '1dd00a74ab1d17a6e7d73e185b69dbf31242f295'],
        ['data_batch_4.bin', 'aab85764eb3584312d3c7f65fd2fd016e36a258e'],
        ['data_batch_5.bin', '26e2849e66a845b7f1e4614ae70f4889ae604628'],
    );
}

# How many labels stand before the pixels, and which of them counts.
sub _labels { return (1, 0) }

# Fetches and unpacks the archive if none of the files is there.
sub _unpack
{
    my ($self, @files) = @_;
    my $root = $self->root;
    return if grep { -e "$root/$_" or -e "$root/" . $self->_inside . "/$_" } @files;
    my ($archive, $sha1) = $self->_archive;
    my $path = $self->_file($sha1, $archive);
    require Archive::Tar;
    my $tar = Archive::Tar->new($path)
        or AI::MXNet::Keshi::fail(ref($self) . ": $path is no archive: " . Archive::Tar->error);
    for my $entry (grep { $_->name =~ /\.bin\z/ } $tar->get_files) {
        $tar->extract_file($entry->name, "$root/" . $entry->name =~ s{.*/}{}r)
            or AI::MXNet::Keshi::fail(ref($self) . ": cannot unpack $path: " . $tar->error);
    }
    return;
}

sub _inside { return 'cifar-10-batches-bin' }

sub _read
{
    my $self = shift;
    my @published = $self->_published;
    $self->_unpack(map { $_->[0] } @published);
    my ($before, $which) = $self->_labels;
    my $size = $before + 3072;
    my (@parts, @labels);
    for my $pair (@published) {
        my ($name, $sha1) = @$pair;
        my $file = $self->_file($sha1, $name, $self->_inside . "/$name" => $sha1);
        my $bytes = AI::MXNet::IO::Files::slurp(ref $self, $file);
        AI::MXNet::Keshi::fail(ref($self) . ": $file holds " . length($bytes) . " bytes, want a multiple of $size")
            if length($bytes) % $size or not length $bytes;
        my $rows = AI::MXNet::NDArray->from_bytes($bytes, [length($bytes) / $size, $size], dtype => 'uint8');
        push @labels,
            AI::MXNet::NDArray->slice_axis($rows, { axis => 1, begin => $which, end => $which + 1 })->aspdl->list;
        push @parts,
            AI::MXNet::NDArray->slice_axis($rows, { axis => 1, begin => $before, end => $size })
            ->reshape([-1, 3, 32, 32])->transpose([0, 2, 3, 1]);
    }
    $self->data(AI::MXNet::NDArray->concatenate(\@parts));
    $self->label(PDL->pdl(PDL::long(), \@labels));
    return;
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision');

package AI::MXNet::Gluon::Data::Vision::CIFAR100;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Gluon::Data::Vision::CIFAR10';
has fine_label => (is => 'ro', isa => 'Bool', default => 0);
sub python_constructor_arguments { return [qw(root fine_label train transform)] }
sub _folder { return 'cifar100' }
sub _inside { return 'cifar-100-binary' }
sub _archive { return ('cifar-100-binary.tar.gz', 'a0bb982c76b83111308126cc779a992fa506b90b') }
sub _labels { return (2, $_[0]->fine_label ? 1 : 0) }

sub _published
{
    my $self = shift;
    return $self->train
        ? ['train.bin', 'e207cd2e05b73b1393c74c7f5e7bea451d63e08e']
        : ['test.bin', '8fb6623e830365ff53cf14adec797474f5478006'];
}
__PACKAGE__->register('AI::MXNet::Gluon::Data::Vision');

1;
