use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use IO::Compress::Gzip qw(gzip);
use List::Util qw(sum);
use Time::HiRes ();
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);

needs_operators(qw(take stack _image_to_tensor _image_normalize _image_resize _image_crop));

my $dir = tempdir(CLEANUP => 1);

sub contents
{
    return [
        map {
            [map { [$_->aspdl->list] } @$_]
        } @{ $_[0] }
    ];
}

# -- sets

my $x = nd->arange(stop => 24)->reshape([12, 2]);
my $set = gluon->data->ArrayDataset($x, nd->arange(stop => 12));
is_deeply([map { ref } @{ $set->at(3) }], ['AI::MXNet::NDArray', ''], 'an item: an array and a number');
my $doubled = $set->transform(sub { my ($d, $l) = @_; return ($d * 2, $l + 1) });
is_close($doubled->at(3)->[0], [12, 14], 'transform');
is($doubled->at(3)->[1], 4, '... of the label');
is($set->transform_first(sub { $_[0] * 0 })->at(3)->[1], 3, 'transform_first leaves it');
is(gluon->data->SimpleDataset([1 .. 5])->transform(sub { $_[0]**2 }, 0)->at(4), 25, 'transformed at once');
my $writer = mx->recordio->MXIndexedRecordIO("$dir/r.idx", "$dir/r.rec", 'w');
$writer->write_idx($_, "record $_") for 0 .. 9;
$writer->close;

# -- loaders

my $taken = gluon->data->DataLoader($set, batch_size => 5);
my $stacked = gluon->data->DataLoader($set->transform(sub { return @_ }), batch_size => 5);
is_deeply(contents($taken), contents($stacked), 'rows at once are as rows one by one');
is(ref((<$taken>)->[1]), 'AI::MXNet::NDArray', 'labels are an array');
$taken->reset;
(<$taken>)->[0] .= 99;
is_close($x->slice([0, 1]), [0 .. 3], 'a batch is a copy');
srand 5;
my $one = contents(gluon->data->DataLoader($set, batch_size => 5, shuffle => 1));
srand 5;
is_deeply(contents(gluon->data->DataLoader($set, batch_size => 5, shuffle => 1)), $one, 'the same order for a seed');
isnt(join(' ', map { "@{ $_->[1] }" } @$one), join(' ', 0 .. 11), '... not that of the set');
my $listed = gluon->data->DataLoader(
    gluon->data->SimpleDataset([map { [$_, [$_, -$_]] } 1 .. 4]),
    batch_sampler => [[0, 3], [1]],
    batchify_fn => sub {
        return [map { $_->[0] } @{ $_[0] }];
    }
);
is_deeply([@$listed], [[1, 4], [2]], 'a batch sampler and a batchify function');
dies_with(sub { gluon->data->DataLoader($set, batch_size => 2, batch_sampler => [[0]]) },
    qr/must not be specified if batch_sampler is specified/, 'both');
is_deeply(
    [map { $_->shape->[0] } @{ gluon->data->DataLoader(nd->ones([5, 3]), batch_size => 2) }],
    [2, 2, 1],
    'over an array'
);

# -- workers

my $slow = sub { my ($d, $l) = @_; Time::HiRes::sleep(0.002); return ($d + rand, $l) };
my %pass;
for my $workers (1, 2, 3) {
    srand 11;
    my $loader =
        gluon->data->DataLoader($set->transform($slow), batch_size => 2, shuffle => 1, num_workers => $workers);
    $pass{$workers} = [map { @{ contents($loader) } } 1, 2];
    push @{ $pass{$workers} }, rand;
}
is_deeply($pass{2}, $pass{1}, 'two workers give what one gives, chance included');
is_deeply($pass{3}, $pass{1}, 'so do three');
isnt("@{ $pass{1}[0][0] }", "@{ $pass{1}[6][0] }", 'another pass differs');
my $pids = sub {
    return join ' ', sort map { $_->at(0) } @_;
};
my %in;
my $tagged =
    $set->transform(sub { Time::HiRes::sleep(0.002); return (nd->array([$$], dtype => 'int32'), $_[1]) });
$in{ $_->[0]->slice([0, 0])->aspdl->at(0) }++
    for @{ gluon->data->DataLoader($tagged, batch_size => 1, num_workers => 2) };
is(scalar keys %in, 3, 'what takes time is made by two processes besides this one');
my $records =
    gluon->data->RecordFileSet("$dir/r.rec")->transform(sub { Time::HiRes::sleep(0.002); return length $_[0] });
is(sum(map { $_->aspdl->list } @{ gluon->data->DataLoader($records, batch_size => 1, num_workers => 3) }),
    80, 'workers read a file each with a place of its own');
my $bad =
    $set->transform(sub { Time::HiRes::sleep(0.003); die "item $_[1] is bad\n" if $_[1] == 9; return @_ });
dies_with(
    sub { my @all = @{ gluon->data->DataLoader($bad, batch_size => 2, num_workers => 2) } },
    qr/item 9 is bad/,
    'a die in a worker'
);
{
    my $loader = gluon->data->DataLoader($tagged, batch_size => 1, num_workers => 2);
    my @some = map { scalar <$loader> } 1 .. 4;
    $? = 7;
    undef $loader;
    is($?, 7, 'a loader that goes leaves $? alone');
}
is(waitpid(-1, 1), -1, 'no process is left');

# -- vision

sub put
{
    my ($name, $bytes) = @_;
    open my $out, '>:raw', "$dir/$name" or die $!;
    print {$out} $bytes;
    close $out;
    return;
}
put('train-images-idx3-ubyte', pack('N4', 2051, 3, 28, 28) . pack('C*', map { $_ % 251 } 0 .. 3 * 784 - 1));
put('train-labels-idx1-ubyte', pack('N2', 2049, 3) . pack('C*', 7, 0, 9));
my @warned;
{
    local $SIG{__WARN__} = sub { push @warned, @_ };
    my $mnist = gluon->data->vision->MNIST($dir);
    is($mnist->len, 3, 'MNIST from files that are not compressed');
    is(join('x', @{ $mnist->at(1)->[0]->shape }) . ' ' . $mnist->at(1)->[0]->dtype, '28x28x1 uint8',
        '... its pictures');
    my ($batch) = @{ gluon->data->DataLoader($mnist, batch_size => 3) };
    is_array($batch->[1], [3], [7, 0, 9], '... its labels', 'int32');
    is(scalar(grep { /train-images-idx3-ubyte is not the published file/ } @warned),
        1, '... which are not the published ones: one warning for both');
    gzip("$dir/train-images-idx3-ubyte" => "$dir/train-images-idx3-ubyte.gz");
    my $scaled = gluon->data->vision->MNIST($dir, 1, sub { ($_[0]->astype('float32') / 251, $_[1]) });
    is_close(
        $scaled->at(0)->[0]->reshape([784])->slice([0, 2]),
        [0, 1 / 251, 2 / 251],
        '... compressed, with a transform'
    );
    is(scalar @warned, 2, '... and one for the others');
    put(
        'data_batch_1.bin',
        join '',
        map {
            pack('C*', $_, map { int($_ / 1024) } 0 .. 3071)
        } 4,
        2
    );
    symlink 'data_batch_1.bin', "$dir/data_batch_$_.bin" for 2 .. 5;
    my $cifar = gluon->data->vision->CIFAR10($dir);
    is($cifar->len, 10, 'CIFAR10');
    is_close($cifar->at(9)->[0]->slice([31, 31])->reshape([96])->slice([0, 5]), [0, 1, 2, 0, 1, 2],
        '... channels last');
    is($cifar->at(1)->[1], 2, '... labels');
}
local $ENV{MXNET_GLUON_REPO} = 'http://127.0.0.1:9/';
dies_with(
    sub { gluon->data->vision->FashionMNIST("$dir/none") },
    qr{there is no .*/none/train-images-idx3-ubyte\.gz.* Put the file into},
    'files that are missing'
);

# -- transforms

my $t = gluon->data->vision->transforms;
my $picture = nd->arange(stop => 60)->reshape([4, 5, 3])->astype('uint8');
is_array($t->ToTensor->($picture)->slice([0, 0]), [1, 4, 5], [map { 3 * $_ / 255 } 0 .. 19], 'ToTensor');
is_close($t->Compose([$t->ToTensor, $t->Normalize([0, 0, 0], [0.5, 1, 2])])->($picture)->slice([2, 2]),
    [map { (3 * $_ + 2) / 510 } 0 .. 19], 'Normalize');
is_close(
    $t->CenterCrop([3, 2])->($picture),
    [
        map {
            my $r = $_;
            map { 15 * $r + 3 + $_ } 0 .. 8
        } 1,
        2
    ],
    'CenterCrop'
);
is(join('x', @{ $t->CenterCrop(8)->($picture)->shape }), '8x8x3', '... of a small picture');
is(join('x', @{ $t->Resize([2, 6])->($picture)->shape }), '6x2x3', 'Resize');
srand 1;
is(join('x', @{ $t->RandomResizedCrop(4)->($picture)->shape }), '4x4x3', 'RandomResizedCrop') for 1 .. 5;
my %seen;
$seen{ join ',', $t->RandomFlipLeftRight->($picture)->aspdl->list }++ for 1 .. 40;
is(scalar keys %seen, 2, 'RandomFlipLeftRight: as it was, or turned');
for my $name (qw(Brightness Contrast Saturation Hue)) {
    my $block = "Random$name";
    my $changed = $t->$block(0.3)->($picture->astype('float32'));
    is(join('x', @{ $changed->shape }), '4x5x3', $block);
}
is($t->Cast('float64')->($picture)->dtype, 'float64', 'Cast');

done_testing;
