package AI::MXNet::BucketSentenceIter;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Base qw(bisect_left);
use AI::MXNet::IO;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
use AI::MXNet::NDArray;
use List::Util qw(shuffle);
use Mouse;

# Sentences of codes, padded to the next of a few lengths. The label of a word is the word behind it.

extends 'AI::MXNet::DataIter';
has sentences => (is => 'ro', isa => 'ArrayRef', required => 1);
has buckets => (is => 'rw', isa => 'Maybe[ArrayRef[Int]]');
has invalid_label => (is => 'ro', isa => 'Num', default => -1);
has data_name => (is => 'ro', isa => 'Str', default => 'data');
has label_name => (is => 'ro', isa => 'Str', default => 'softmax_label');
has dtype => (is => 'ro', isa => 'Dtype', default => 'float32');
has layout => (is => 'ro', isa => 'Str', default => 'NT');
has default_bucket_key => (is => 'rw', init_arg => undef);
has [qw(_rows _order _at)] => (is => 'rw', init_arg => undef);

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    my @names = qw(sentences batch_size);
    my %given;
    $given{ shift @names } = shift @args while @names and @args and (ref $args[0] or $args[0] =~ /^\d+$/);
    return $class->$orig(%given, @args);
};

sub BUILD
{
    my $self = shift;
    my %count;
    $count{ scalar @$_ }++ for @{ $self->sentences };
    $self->buckets([grep { $count{$_} >= $self->batch_size } keys %count]) if not $self->buckets;
    $self->buckets([sort { $a <=> $b } @{ $self->buckets }]);
    my $buckets = $self->buckets;
    AI::MXNet::Keshi::fail('BucketSentenceIter: there is no bucket') if not @$buckets;
    AI::MXNet::Keshi::fail('BucketSentenceIter: layout got ' . $self->layout . ', want NT or TN')
        if $self->layout !~ /^(?:NT|TN)$/;
    my ($discarded, @rows) = (0, map { [] } @$buckets);

    for my $sentence (@{ $self->sentences }) {
        my $k = bisect_left($buckets, scalar @$sentence);
        if ($k == @$buckets) {
            $discarded++;
            next;
        }
        push @{ $rows[$k] }, [@$sentence, ($self->invalid_label) x ($buckets->[$k] - @$sentence)];
    }
    AI::MXNet::Logging->warning("discarded $discarded sentences longer than the largest bucket.") if $discarded;
    $self->_rows(\@rows);
    $self->default_bucket_key($buckets->[-1]);
    $self->reset;
    return;
}

sub _description
{
    my ($self, $name, $length) = @_;
    my @shape = ($self->batch_size, $length);
    @shape = reverse @shape if $self->layout eq 'TN';
    return [AI::MXNet::DataDesc->new(name => $name, shape => \@shape, dtype => $self->dtype, layout => $self->layout)];
}

sub provide_data { my $self = shift; return $self->_description($self->data_name, $self->default_bucket_key) }
sub provide_label { my $self = shift; return $self->_description($self->label_name, $self->default_bucket_key) }

# Other sentences side by side, and batches in another order.
sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    my ($size, @order) = ($self->batch_size);
    for my $k (0 .. $#{ $self->_rows }) {
        my $rows = $self->_rows->[$k] = [shuffle(@{ $self->_rows->[$k] })];
        push @order, map { [$k, $_ * $size] } 0 .. int(@$rows / $size) - 1;
    }
    $self->_order([shuffle(@order)]);
    $self->_at(0);
    return;
}

sub next    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    my $batch = $self->_order->[$self->_at] or return;
    $self->_at($self->_at + 1);
    my ($k, $begin) = @$batch;
    my @data = @{ $self->_rows->[$k] }[$begin .. $begin + $self->batch_size - 1];
    my @label = map { [@{$_}[1 .. $#$_], $self->invalid_label] } @data;
    my $array = sub {
        my $array = AI::MXNet::NDArray->array($_[0], dtype => $self->dtype);
        return $self->layout eq 'TN' ? $array->T : $array;
    };
    my $key = $self->buckets->[$k];
    return AI::MXNet::DataBatch->new(
        data => [$array->(\@data)],
        label => [$array->(\@label)],
        pad => 0,
        bucket_key => $key,
        provide_data => $self->_description($self->data_name, $key),
        provide_label => $self->_description($self->label_name, $key),
    );
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;
